// The memory store as a participant. Statements: "add NAME AMOUNT", "insert NAME VALUE",
// "read NAME".
#pragma once

#include <memory>
#include <string>

#include <indoubt/participants/participant.h>

#include "memory_store.h"

/// `store` outlives it; null: the store is not there.
std::unique_ptr<indoubt::Participant> MakeMemoryParticipant(std::string name,
                                                            MemoryStore* store);
