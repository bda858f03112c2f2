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

# indoubt_test(<name> SOURCES ... LINK <targets> [LABELS ...] [TIMEOUT seconds] [SERIAL])
#
# One GoogleTest program. LABELS: "unit" needs no server and also runs under the
# sanitizers; "store" starts real servers; "crash" kills things. SERIAL keeps
# ctest from running it beside others (it measures, or uses both cores).
function(indoubt_test name)
  cmake_parse_arguments(ARG "SERIAL" "TIMEOUT" "SOURCES;LINK;LABELS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_precompile_headers(${name} REUSE_FROM indoubt_base)
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
  if(ARG_SERIAL)
    set_tests_properties(${name} PROPERTIES RUN_SERIAL ON)
  endif()
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
