// The names that the workload `shop` gives to participants and Redis keys.
#pragma once

#include <cstdint>
#include <string>

namespace indoubt {

inline constexpr const char* kAccounts = "accounts";  // PostgreSQL
inline constexpr const char* kStock = "stock";        // Redis
inline constexpr const char* kLedger = "ledger";      // SQLite

inline constexpr int64_t kInitialPrice = 100;

inline std::string StockKey(int64_t item) { return "stock:" + std::to_string(item); }
inline std::string PriceKey(int64_t item) { return "price:" + std::to_string(item); }
inline std::string ReservedKey(int64_t order) { return "reserved:" + std::to_string(order); }

}  // namespace indoubt
