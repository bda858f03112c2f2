# cmake --install: the library that other programs embed, with its CMake package
# (find_package(indoubt)), and the binary.
#
# What is public is listed here and nowhere else: a header that is not named below is
# the library's own affair and is not installed. A public header keeps its place below
# include/indoubt/, and its includes are given that prefix on the way
# (cmake/IndoubtInstallHeaders.cmake), so that <indoubt/coordinator/coordinator.h> needs
# no include path of its own and no room's name stands free in a user's.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(INDOUBT_PACKAGE_DIR "${CMAKE_INSTALL_LIBDIR}/cmake/indoubt")
set(INDOUBT_PUBLIC_HEADERS "")

# indoubt_component(<name> TARGETS <rooms> HEADERS <paths>)
#
# One component of the package: an export set of its own, so that a user who asks for
# others never loads it.
function(indoubt_component name)
  cmake_parse_arguments(ARG "" "" "TARGETS;HEADERS" ${ARGN})
  list(TRANSFORM ARG_TARGETS PREPEND indoubt_)
  foreach(target ${ARG_TARGETS})
    string(REPLACE indoubt_ "" exported ${target})
    set_target_properties(${target} PROPERTIES EXPORT_NAME ${exported})
    target_compile_features(${target} INTERFACE cxx_std_20)
    target_include_directories(${target} INTERFACE
      $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
  endforeach()
  install(TARGETS ${ARG_TARGETS} EXPORT indoubt-${name}
    ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}" COMPONENT development)
  install(EXPORT indoubt-${name} NAMESPACE indoubt:: FILE indoubt-${name}-targets.cmake
    DESTINATION "${INDOUBT_PACKAGE_DIR}" COMPONENT development)
  set(INDOUBT_PUBLIC_HEADERS ${INDOUBT_PUBLIC_HEADERS} ${ARG_HEADERS} PARENT_SCOPE)
endfunction()

indoubt_component(base
  TARGETS base participants
  HEADERS base/check.h base/clock.h base/duration.h base/failpoint.h base/file.h base/gid.h
          base/short_text.h base/status.h base/text.h participants/decision.h
          participants/last_resource.h participants/participant.h)
indoubt_component(coordinator
  TARGETS orphans coordinator
  HEADERS coordinator/coordinator.h coordinator/executor.h coordinator/operations.h
          recovery/decision_log.h)
indoubt_component(recovery
  TARGETS records recovery
  HEADERS recovery/file_log.h)
indoubt_component(postgres
  TARGETS postgres
  HEADERS participants/postgres/postgres_participant.h)
indoubt_component(redis
  TARGETS redis
  HEADERS participants/redis/redis_participant.h)
indoubt_component(sqlite
  TARGETS sqlite
  HEADERS participants/sqlite/sqlite_participant.h)
indoubt_component(service
  TARGETS services service
  HEADERS coordinator/service.h)
# For an adapter of one's own: what it must pass (docs/adapters.md).
indoubt_component(contract_suite
  TARGETS proxy contract_suite
  HEADERS faults/proxy.h tests/support/eventually.h
          tests/participants/contract_calls.h tests/participants/contract_connection_fixture.h
          tests/participants/contract_connection_suite.h
          tests/participants/contract_coordinator.h tests/participants/contract_crash_cases.h
          tests/participants/contract_decision_cases.h tests/participants/contract_fixture.h
          tests/participants/contract_step.h tests/participants/contract_store.h
          tests/participants/contract_suite.h tests/participants/contract_vote_cases.h)

string(CONFIGURE [[
  set(source_folder "@CMAKE_SOURCE_DIR@")
  set(staging_folder "@CMAKE_BINARY_DIR@/install-headers")
  set(destination "@CMAKE_INSTALL_INCLUDEDIR@/indoubt")
  set(public_headers "@INDOUBT_PUBLIC_HEADERS@")
  include("@CMAKE_SOURCE_DIR@/cmake/IndoubtInstallHeaders.cmake")
]] install_headers @ONLY)
install(CODE "${install_headers}" COMPONENT development)

configure_package_config_file(
  "${CMAKE_SOURCE_DIR}/cmake/indoubt-config.cmake.in"
  "${CMAKE_BINARY_DIR}/indoubt-config.cmake"
  INSTALL_DESTINATION "${INDOUBT_PACKAGE_DIR}"
  NO_SET_AND_CHECK_MACRO)
# Below 1.0 a minor version may change what is public.
write_basic_package_version_file("${CMAKE_BINARY_DIR}/indoubt-config-version.cmake"
  COMPATIBILITY SameMinorVersion)
install(FILES "${CMAKE_BINARY_DIR}/indoubt-config.cmake"
              "${CMAKE_BINARY_DIR}/indoubt-config-version.cmake"
  DESTINATION "${INDOUBT_PACKAGE_DIR}" COMPONENT development)

# For clients of `indoubt serve` in other languages.
install(FILES proto/coordinator.proto
  DESTINATION "${CMAKE_INSTALL_DATADIR}/indoubt/proto" COMPONENT development)
install(TARGETS indoubt RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}" COMPONENT runtime)
