// Nothing: what its target is for is the header that CMake precompiles for it.
