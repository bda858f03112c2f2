#include "cli/command_line.h"

#include <algorithm>
#include <utility>

#include <CLI/CLI.hpp>

#include "base/duration.h"

namespace indoubt::cli {

Option& Option::Required() {
  option_->required();
  return *this;
}

Option& Option::ShowDefault() {
  option_->capture_default_str();
  return *this;
}

Option& Option::OneOf(std::vector<std::string> words) {
  option_->check(CLI::IsMember(std::move(words)));
  return *this;
}

Option& Option::Between(int least, int most) {
  option_->check(CLI::Range(least, most));
  return *this;
}

Option& Option::Check(std::function<std::string(const std::string&)> complaint) {
  option_->check(std::move(complaint));
  return *this;
}

Option& Option::OneValueEach() {
  option_->allow_extra_args(false);
  return *this;
}

Option& Option::TwoValuesEach() {
  option_->type_size(2)->expected(1)->take_all()->allow_extra_args(false);
  return *this;
}

Option& Option::Excludes(const Option& other) {
  option_->excludes(other.option_);
  return *this;
}

Option& Option::OrEnvironment(const std::string& variable) {
  option_->envname(variable);
  return *this;
}

Verb Verb::Add(const std::string& name, const std::string& help) {
  app_->require_subcommand(1);
  return Verb(app_->add_subcommand(name, help), chosen_);
}

Option Verb::Value(const std::string& names, std::string& into, const std::string& help) {
  return Option(app_->add_option(names, into, help));
}

Option Verb::Value(const std::string& names, int& into, const std::string& help) {
  return Option(app_->add_option(names, into, help));
}

Option Verb::Value(const std::string& names, std::optional<uint64_t>& into,
                   const std::string& help) {
  return Option(app_->add_option(names, into, help));
}

Option Verb::Value(const std::string& names, std::vector<std::string>& into,
                   const std::string& help) {
  return Option(app_->add_option(names, into, help));
}

Option Verb::Value(const std::string& names, std::vector<int64_t>& into,
                   const std::string& help) {
  return Option(app_->add_option(names, into, help));
}

Option Verb::Duration(const std::string& names, std::string& into, const std::string& help) {
  return Value(names, into, help).Check([](const std::string& given) {
    const auto duration = ParseDuration(given);
    return duration ? std::string() : duration.error().message();
  });
}

void Verb::Flag(const std::string& names, bool& into, const std::string& help) {
  app_->add_flag(names, into, help);
}

Option Verb::FlagOrValue(const std::string& names, std::string& into, const std::string& help) {
  return Option(app_->add_flag(names, into, help));
}

void Verb::RequireEither(Option one, Option other) {
  app_->parse_complete_callback([first = one.option_, second = other.option_] {
    if (first->count() + second->count() > 0) return;
    throw CLI::RequiredError(first->get_name() + " or " + second->get_name());
  });
}

void Verb::Hide() { app_->group(""); }

void Verb::Does(Action action) {
  app_->callback([chosen = chosen_, action = std::move(action)] { *chosen = action; });
}

CommandLine::CommandLine(const std::string& program, const std::string& about,
                         const std::string& version)
    : app_(std::make_unique<CLI::App>(about)) {
  app_->name(program);
  app_->set_version_flag("--version", version);
}

CommandLine::~CommandLine() = default;

Verb CommandLine::program() { return Verb(app_.get(), &chosen_); }

Result<Action> CommandLine::Parse(std::vector<std::string> words) {
  std::reverse(words.begin(), words.end());  // as CLI11 takes them
  try {
    app_->parse(std::move(words));
  } catch (const CLI::ParseError& error) {
    if (app_->exit(error) == 0) return Action([] { return 0; });
    return Status(StatusCode::kInvalidArgument, error.what());
  }
  return chosen_;
}

}  // namespace indoubt::cli
