// One function a verb: adds itself to the command line, with what it does when it is
// chosen. main.cc calls them all.
#pragma once

#include <string>
#include <vector>

#include "cli/command_line.h"

namespace indoubt::cli {

void AddExec(Verb program);
void AddRecover(Verb program);
void AddTxn(Verb program);
void AddLog(Verb program);
void AddDoctor(Verb program);
void AddServe(Verb program);
void AddCdc(Verb program);
void AddList(Verb program);
void AddRun(Verb program);
void AddReport(Verb program);
void AddCompare(Verb program);
void AddExplain(Verb program);
void AddValidate(Verb program);
/// Servers that the experiments start as processes of their own; not for people.
void AddLab(Verb program);

/// The command line as main() got it, without the program's name.
const std::vector<std::string>& GivenArguments();
void SetGivenArguments(int argc, char** argv);

}  // namespace indoubt::cli
