#include "cli/verbs.h"

namespace indoubt::cli {
namespace {

std::vector<std::string>& Given() {
  static std::vector<std::string> given;
  return given;
}

}  // namespace

const std::vector<std::string>& GivenArguments() { return Given(); }

void SetGivenArguments(int argc, char** argv) { Given().assign(argv + 1, argv + argc); }

}  // namespace indoubt::cli
