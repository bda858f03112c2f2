#include "participants/redis/redis_answer.h"

#include "base/text.h"
#include "participants/redis/redis_statement.h"

namespace indoubt {

RedisAnswer DecodeAnswer(const redisReply& reply) {
  RedisAnswer answer;
  if (reply.type != REDIS_REPLY_ARRAY || reply.elements == 0) {
    return {"error", OneLine(Text(reply)), "", {}, ""};
  }
  answer.tag = Text(*reply.element[0]);
  if (reply.elements < 2) return answer;
  if (reply.element[1]->type == REDIS_REPLY_ARRAY) {
    answer.results = DecodeResults(*reply.element[1]);
  } else {
    answer.reason = OneLine(Text(*reply.element[1]));
  }
  if (reply.elements > 2) {
    (answer.tag == "locked" ? answer.holder : answer.digest) = Text(*reply.element[2]);
  }
  return answer;
}

}  // namespace indoubt
