# cmake -DBUILT= -DSTYLES= -DTEMPLATE= -DOUTPUT= -P: the report's page and the live page as a
# source file.
foreach(page page live)
  string(TOUPPER "${page}" name)
  file(READ "${BUILT}/${page}.js" INDOUBT_${name}_SCRIPT)
  file(STRINGS "${BUILT}/${page}.js.sha256" INDOUBT_${name}_SCRIPT_HASH LIMIT_COUNT 1)
  file(READ "${STYLES}/${page}.css" INDOUBT_${name}_STYLE)
endforeach()
configure_file("${TEMPLATE}" "${OUTPUT}" @ONLY)
