# How everything here is compiled and linked.

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/bin")

set(INDOUBT_SANITIZE "" CACHE STRING "Sanitizers for -fsanitize=, comma separated")
option(INDOUBT_COVERAGE "Instrument for gcov" OFF)
option(INDOUBT_FUZZ "Instrument for libFuzzer (clang only)" OFF)

find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM)
  # pch_defines and time_macros are what ccache asks for beside a precompiled header;
  # the base folder lets two clones share what was compiled.
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env
      CCACHE_SLOPPINESS=pch_defines,time_macros
      CCACHE_BASEDIR=${CMAKE_SOURCE_DIR} CCACHE_NOHASHDIR=1 ${CCACHE_PROGRAM})
endif()

find_program(MOLD_PROGRAM mold)
if(MOLD_PROGRAM)
  add_link_options(-fuse-ld=mold)
endif()

# hiredis' pkg-config file asks for it; all or none, or the precompiled header is refused.
add_compile_definitions(_FILE_OFFSET_BITS=64)
add_compile_options(-pthread)  # all or none, as above
# Designated initialisers leave the rest at their defaults on purpose, and GCC 12 warns
# of every std::variant that holds a vector (its bug 105562 and kin).
add_compile_options(-Wno-maybe-uninitialized -Wno-missing-field-initializers)
add_compile_options(-Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor
                    -Woverloaded-virtual -Wimplicit-fallthrough -Werror=switch
                    -Werror=return-type -Werror=unused-result)
if(CMAKE_BUILD_TYPE STREQUAL "RelWithDebInfo")
  # -g1 keeps stack traces and profiles readable at a third of the link time.
  string(REPLACE "-g" "-g1" CMAKE_CXX_FLAGS_RELWITHDEBINFO "${CMAKE_CXX_FLAGS_RELWITHDEBINFO}")
endif()
if(INDOUBT_SANITIZE)
  add_compile_options(-fsanitize=${INDOUBT_SANITIZE} -fno-omit-frame-pointer
                      -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${INDOUBT_SANITIZE})
endif()
if(INDOUBT_FUZZ)
  # The list above names a warning that only GCC has.
  add_compile_options(-fsanitize=fuzzer-no-link -Wno-unknown-warning-option)
endif()
if(INDOUBT_COVERAGE)
  add_compile_options(--coverage)
  add_link_options(--coverage)
endif()
