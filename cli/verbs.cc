#include "cli/verbs.h"

#include "base/duration.h"

namespace indoubt::cli {
namespace {

std::vector<std::string>& Given() {
  static std::vector<std::string> given;
  return given;
}

}  // namespace

const std::vector<std::string>& GivenArguments() { return Given(); }

void SetGivenArguments(int argc, char** argv) { Given().assign(argv + 1, argv + argc); }

CLI::Option* AddDuration(CLI::App& verb, const std::string& name, std::string& text,
                         const std::string& help) {
  return verb.add_option(name, text, help)->check([](const std::string& given) {
    const auto duration = ParseDuration(given);
    return duration ? std::string() : duration.error().message();
  });
}

}  // namespace indoubt::cli
