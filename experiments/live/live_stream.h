// One browser that listens: what it is sent waits in a bounded queue, so that one that does
// not read costs memory for a few seconds and nobody any time.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <string>

#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>

namespace indoubt {

using LiveText = std::shared_ptr<const std::string>;  // one text, sent to many

/// A response of Server-Sent Events without an end. Use on its stream's thread alone.
class LiveStream : public std::enable_shared_from_this<LiveStream> {
 public:
  /// `gone` is called once, when the connection is no more.
  LiveStream(boost::beast::tcp_stream stream, std::function<void(LiveStream*)> gone);

  /// Begins the response with `opening`.
  void Run(const std::string& opening);
  /// Leaves out a sample when too many wait, says so to the browser later, and returns false.
  bool SendSample(const LiveText& message);
  /// Leaves nothing out; a browser with too much waiting is cut off.
  void Send(const LiveText& message);
  /// Ends the response after what waits.
  void Finish();

 private:
  void AwaitItsEnd();
  void Queue(const LiveText& message);
  void WriteNext();
  void Close();

  boost::beast::tcp_stream stream_;
  std::function<void(LiveStream*)> gone_;  // empty once it was called
  boost::beast::flat_buffer ignored_;      // a browser has nothing more to say
  std::deque<LiveText> waiting_;           // the first is being written
  size_t left_out_ = 0;                    // samples, since the browser was last told
  bool finishing_ = false;
};

/// "event: KIND" with `data`, which has no line feed.
std::string LiveEvent(const std::string& kind, const std::string& data);

}  // namespace indoubt
