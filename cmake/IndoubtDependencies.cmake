# Every library that is not ours, as an imported target.

find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)
find_package(Protobuf REQUIRED)
find_package(gRPC CONFIG REQUIRED)
find_package(Boost 1.81 REQUIRED)  # headers: Asio, Process, crc
find_package(SQLite3 REQUIRED)
find_package(PostgreSQL REQUIRED)
find_package(fmt REQUIRED)
find_package(spdlog REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(CLI11 REQUIRED)
find_package(tomlplusplus REQUIRED)
find_package(GTest REQUIRED)
find_package(benchmark REQUIRED)

# Debian's CMake files for these two are broken or absent.
pkg_check_modules(hiredis REQUIRED IMPORTED_TARGET hiredis)
pkg_check_modules(libpqxx REQUIRED IMPORTED_TARGET libpqxx)

# Only for the programs (docs/adr/0008); a library leaves the choice to who links it.
pkg_check_modules(tcmalloc REQUIRED libtcmalloc_minimal)
