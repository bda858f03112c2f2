# What is precompiled for all, and for the tests with GoogleTest beside it.
set(INDOUBT_COMMON_HEADERS
  <algorithm> <atomic> <chrono> <condition_variable> <cstdint> <deque> <functional> <map>
  <memory> <mutex> <optional> <set> <string> <string_view> <thread> <unordered_map>
  <utility> <variant> <vector> <fmt/core.h> <fmt/format.h>)

# indoubt_library(<room> SOURCES ... PUBLIC <targets> PRIVATE <targets>)
#
# One static library for a room: target indoubt_<room>, alias indoubt::<room>.
# Sources are named, never globbed.
function(indoubt_library room)
  cmake_parse_arguments(ARG "" "" "SOURCES;PUBLIC;PRIVATE" ${ARGN})
  add_library(indoubt_${room} STATIC ${ARG_SOURCES})
  add_library(indoubt::${room} ALIAS indoubt_${room})
  target_include_directories(indoubt_${room} PUBLIC $<BUILD_INTERFACE:${CMAKE_SOURCE_DIR}>)
  target_link_libraries(indoubt_${room} PUBLIC ${ARG_PUBLIC} PRIVATE ${ARG_PRIVATE})
  if(NOT room STREQUAL base)
    target_precompile_headers(indoubt_${room} REUSE_FROM indoubt_base)
  endif()
endfunction()

# indoubt_test(<name> SOURCES ... LINK <targets> [LABELS ...] [TIMEOUT seconds] [SERIAL]
#              [OPTIMISED] [LONG])
#
# One GoogleTest program. LABELS: "unit" needs no server and also runs under the
# sanitizers; "store" starts real servers; "crash" kills things. SERIAL keeps
# ctest from running it beside others (it measures, or uses both cores); LONG lets it
# start among the first, so that not all wait for it at the end. Its own sources are
# compiled without optimisation, which halves the time of the longest part of the build;
# what they test is not. OPTIMISED: they are too, as the test spends its time in them.
function(indoubt_test name)
  cmake_parse_arguments(ARG "SERIAL;OPTIMISED;LONG" "TIMEOUT" "SOURCES;LINK;LABELS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  if(ARG_OPTIMISED)
    target_precompile_headers(${name} REUSE_FROM indoubt_base)
  else()
    indoubt_compile_as_test(${name})
  endif()
  target_link_libraries(${name} PRIVATE ${ARG_LINK} GTest::gmock GTest::gtest_main)
  set_target_properties(${name} PROPERTIES
    RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/tests")
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 120)
  endif()
  if(NOT ARG_LABELS)
    set(ARG_LABELS unit)
  endif()
  add_test(NAME ${name} COMMAND ${name})
  if("unit" IN_LIST ARG_LABELS)
    add_dependencies(unit-tests ${name})  # what the sanitizer presets build
  endif()
  set_tests_properties(${name} PROPERTIES LABELS "${ARG_LABELS}" TIMEOUT ${ARG_TIMEOUT}
    ENVIRONMENT "INDOUBT_BINARY=${CMAKE_BINARY_DIR}/bin/indoubt")
  if(ARG_LONG)
    set_tests_properties(${name} PROPERTIES COST 100)
  endif()
  if(ARG_SERIAL)
    set_tests_properties(${name} PROPERTIES RUN_SERIAL ON)
  endif()
endfunction()

# indoubt_compile_as_test(<target>): without optimisation, with the tests' precompiled header.
function(indoubt_compile_as_test target)
  target_compile_options(${target} PRIVATE $<$<CONFIG:RelWithDebInfo>:-O0>)
  target_precompile_headers(${target} REUSE_FROM indoubt_test_headers)
endfunction()

# indoubt_program(<target>): what every program that ships or is measured gets.
#
# tcmalloc, unless something instruments the program and brings an allocator of its own.
# Nothing refers to it by name, so the linker is told to keep it.
function(indoubt_program target)
  if(NOT INDOUBT_SANITIZE AND NOT INDOUBT_FUZZ)
    target_link_options(${target} PRIVATE
      "LINKER:--push-state,--no-as-needed" ${tcmalloc_LDFLAGS} "LINKER:--pop-state")
  endif()
endfunction()
