# Part of the installation (see IndoubtInstall.cmake, which sets the names used here):
# copies the public headers and gives their includes of each other the prefix indoubt/.
# A public header that includes one that is not public stops it.
cmake_minimum_required(VERSION 3.21)
file(REMOVE_RECURSE "${staging_folder}")
foreach(header ${public_headers})
  file(READ "${source_folder}/${header}" text)
  string(REGEX MATCHALL "#include \"[^\"]+\"" includes "${text}")
  foreach(include ${includes})
    string(REGEX REPLACE "#include \"(.+)\"" "\\1" included "${include}")
    if(NOT included IN_LIST public_headers)
      message(FATAL_ERROR "${header} is public and includes ${included}, which is not: "
        "name it in cmake/IndoubtInstall.cmake, or do without it in ${header}")
    endif()
  endforeach()
  string(REGEX REPLACE "#include \"([^\"]+)\"" "#include \"indoubt/\\1\"" text "${text}")
  file(WRITE "${staging_folder}/${header}" "${text}")
endforeach()
file(INSTALL DESTINATION "${CMAKE_INSTALL_PREFIX}/${destination}" TYPE DIRECTORY
  FILES "${staging_folder}/" FILES_MATCHING PATTERN "*.h")
