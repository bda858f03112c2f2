#include "cli/verbs.h"

#include "base/duration.h"

namespace indoubt::cli {

CLI::Option* AddDuration(CLI::App& verb, const std::string& name, std::string& text,
                         const std::string& help) {
  return verb.add_option(name, text, help)->check([](const std::string& given) {
    const auto duration = ParseDuration(given);
    return duration ? std::string() : duration.error().message();
  });
}

}  // namespace indoubt::cli
