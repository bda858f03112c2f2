// One function a verb: adds itself to the command line, and when chosen sets what
// runs after parsing. main.cc calls them all.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

namespace indoubt::cli {

/// What the chosen verb does; returns the process' exit code.
using Action = std::function<int()>;

void AddExec(CLI::App& app, Action& action);
void AddRecover(CLI::App& app, Action& action);
void AddTxn(CLI::App& app, Action& action);
void AddLog(CLI::App& app, Action& action);
void AddDoctor(CLI::App& app, Action& action);
void AddServe(CLI::App& app, Action& action);
void AddCdc(CLI::App& app, Action& action);
void AddList(CLI::App& app, Action& action);
void AddRun(CLI::App& app, Action& action);
void AddReport(CLI::App& app, Action& action);
void AddCompare(CLI::App& app, Action& action);
void AddExplain(CLI::App& app, Action& action);
void AddValidate(CLI::App& app, Action& action);
/// Servers that the experiments start as processes of their own; not for people.
void AddLab(CLI::App& app, Action& action);

/// The command line as main() got it, without the program's name.
const std::vector<std::string>& GivenArguments();
void SetGivenArguments(int argc, char** argv);

/// A --timeout option that takes a duration with its unit.
CLI::Option* AddDuration(CLI::App& verb, const std::string& name, std::string& text,
                         const std::string& help);

}  // namespace indoubt::cli
