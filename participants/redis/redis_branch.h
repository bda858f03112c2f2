// A branch at Redis before its vote: its statements, which the library evaluates.
#pragma once

#include <memory>

#include "participants/participant.h"
#include "participants/redis/redis_pipeline.h"

namespace indoubt {

/// The pipeline is shared with the participant, and stopped by it.
std::unique_ptr<Branch> MakeRedisBranch(std::shared_ptr<RedisPipeline> pipeline, BranchId id,
                                        TimePoint deadline);

}  // namespace indoubt
