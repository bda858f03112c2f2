// The grammar of the command line: verbs, and the options each takes. CLI11 does the work
// behind it: its header takes longer to compile than all else in a verb, and so is included
// by command_line.cc alone.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace indoubt::cli {

/// What the chosen verb does; returns the process' exit code.
using Action = std::function<int()>;

/// An option of a verb, or an argument that is known by its place. A handle: copies mean the
/// same option, and are good while the CommandLine lives.
class Option {
 public:
  explicit Option(CLI::Option* option) : option_(option) {}

  /// To leave it out is an error.
  Option& Required();
  /// --help shows what its variable held when this is called.
  Option& ShowDefault();
  /// Any other word is an error that names these.
  Option& OneOf(std::vector<std::string> words);
  /// Any number outside is an error that names both ends.
  Option& Between(int least, int most);
  /// `complaint` is given the text and says what is wrong with it; empty: nothing.
  Option& Check(std::function<std::string(const std::string&)> complaint);
  /// It may be repeated and takes one value each time, not all words that follow.
  Option& OneValueEach();
  /// It may be repeated and takes two values each time.
  Option& TwoValuesEach();
  /// To give both is an error.
  Option& Excludes(const Option& other);
  /// Where it is not given, this environment variable is read.
  Option& OrEnvironment(const std::string& variable);

 private:
  friend class Verb;
  CLI::Option* option_;
};

/// A verb, or a verb of a verb; the program itself is the outermost. A handle, as Option.
///
/// `names` is "-c,--config" for an option and "FILE" for an argument. The variables are
/// written by CommandLine::Parse() and must live until then; one that is not given stays.
class Verb {
 public:
  /// From now on one of the added verbs must be given.
  Verb Add(const std::string& name, const std::string& help);

  Option Value(const std::string& names, std::string& into, const std::string& help);
  Option Value(const std::string& names, int& into, const std::string& help);
  Option Value(const std::string& names, std::optional<uint64_t>& into,
               const std::string& help);
  Option Value(const std::string& names, std::vector<std::string>& into,
               const std::string& help);
  Option Value(const std::string& names, std::vector<int64_t>& into, const std::string& help);
  /// The text of a duration with its unit, checked to be one.
  Option Duration(const std::string& names, std::string& into, const std::string& help);
  void Flag(const std::string& names, bool& into, const std::string& help);
  /// A flag that may bring a value, as --live=8080; `into` is "true" where it brings none.
  /// The word after it is never its value.
  Option FlagOrValue(const std::string& names, std::string& into, const std::string& help);

  /// At least one of the two must be given.
  void RequireEither(Option one, Option other);
  /// Leaves it out of --help.
  void Hide();
  /// What happens when the verb is chosen.
  void Does(Action action);

 private:
  friend class CommandLine;
  Verb(CLI::App* app, Action* chosen) : app_(app), chosen_(chosen) {}

  CLI::App* app_;
  Action* chosen_;
};

/// Not thread-safe.
class CommandLine {
 public:
  /// `version` is what --version prints.
  CommandLine(const std::string& program, const std::string& about, const std::string& version);
  ~CommandLine();
  CommandLine(const CommandLine&) = delete;
  CommandLine& operator=(const CommandLine&) = delete;

  Verb program();

  /// What the chosen verb does. --help and --version print at once, and nothing is left to
  /// do. kInvalidArgument for words that are no command, which stderr has been told too.
  Result<Action> Parse(std::vector<std::string> words);

 private:
  std::unique_ptr<CLI::App> app_;
  Action chosen_;
};

}  // namespace indoubt::cli
