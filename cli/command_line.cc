#include "cli/command_line.h"

#include <algorithm>
#include <utility>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/duration.h"
#include "cli/near_word.h"
#include "cli/output.h"

namespace indoubt::cli {
namespace {

using Words = std::vector<std::string>;

/// The innermost verb that the words have reached.
const CLI::App* Reached(const CLI::App* app) {
  while (!app->get_subcommands().empty()) app = app->get_subcommands().back();
  return app;
}

std::string FullName(const CLI::App* app) {
  const CLI::App* parent = app->get_parent();
  return parent == nullptr ? app->get_name() : FullName(parent) + " " + app->get_name();
}

Words VerbsOf(const CLI::App* app) {
  Words names;
  for (const CLI::App* verb : app->get_subcommands([](const CLI::App*) { return true; })) {
    if (!verb->get_group().empty()) names.push_back(verb->get_name());
  }
  return names;
}

Words OptionsOf(const CLI::App* app) {
  Words names;
  for (const CLI::Option* option : app->get_options()) {
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  }
  return names;
}

std::string Suggestion(const std::string& word, const Words& known) {
  const std::string near = NearWord(word, known);
  return near.empty() ? "" : fmt::format(" (did you mean {}?)", near);
}

/// A word as a person typed it, however long and whatever is in it.
std::string Shown(const std::string& word) {
  constexpr size_t kMost = 80;
  std::string shown;
  for (const char c : word.substr(0, kMost)) {
    shown += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c;
  }
  return "'" + shown + (word.size() > kMost ? "...'" : "'");
}

/// No verb was chosen where one must be.
std::string NoVerb(const CLI::App* app, const Words& rest) {
  const Words verbs = VerbsOf(app);
  const std::string those = fmt::format("{}", fmt::join(verbs, ", "));
  if (rest.empty()) return "name a verb: " + those;
  const std::string& word = rest.front();
  if (word.starts_with("-")) {
    return "unknown option " + Shown(word) + Suggestion(word, OptionsOf(app));
  }
  return "unknown verb " + Shown(word) + Suggestion(word, verbs) + "; there are " + those;
}

/// A value of an option that may go without one stands behind "=", or it is taken for
/// something else.
std::string DetachedValue(const CLI::App* app, const Words& words) {
  for (size_t i = 0; i + 1 < words.size(); ++i) {
    const CLI::Option* option =
        words[i].starts_with("--") ? app->get_option_no_throw(words[i]) : nullptr;
    if (option == nullptr || option->get_items_expected_min() > 0 ||
        words[i + 1].starts_with("-")) {
      continue;
    }
    return fmt::format("; a value of {} is written {}={}", words[i], words[i],
                       words[i + 1].substr(0, 80));
  }
  return "";
}

std::string Unexpected(const CLI::App* app, const Words& rest, const Words& words) {
  std::string text;
  for (const std::string& word : rest) {
    text += (text.empty() ? "" : ", ") + Shown(word);
    if (word.starts_with("-")) text += Suggestion(word, OptionsOf(app));
  }
  return "not expected: " + text + DetachedValue(app, words);
}

std::string Complaint(const CLI::App* app, const CLI::ParseError& error, const Words& words) {
  const Words rest = app->remaining();
  const bool lacks_verb =
      app->get_require_subcommand_min() > 0 && app->get_subcommands().empty();
  std::string what = error.what();
  if (lacks_verb) {
    what = NoVerb(app, rest);
  } else if (!rest.empty() &&
             error.get_exit_code() == static_cast<int>(CLI::ExitCodes::ExtrasError)) {
    what = Unexpected(app, rest, words);
  }
  const std::string name = FullName(app);
  return fmt::format("{}: {}; see {} --help", name, what, name);
}

}  // namespace

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
  try {
    app_->parse(std::vector<std::string>(words.rbegin(), words.rend()));  // as CLI11 takes them
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) {
      app_->exit(error);  // prints what was asked for: help, the version
      return Action([] { return 0; });
    }
    const std::string complaint = Complaint(Reached(app_.get()), error, words);
    Note(complaint);
    return Status(StatusCode::kInvalidArgument, complaint);
  }
  return chosen_;
}

}  // namespace indoubt::cli
