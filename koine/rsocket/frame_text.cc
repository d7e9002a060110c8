// Frames in words, for traces and for tests that compare a whole conversation with a text.
#include <array>
#include <cstdio>
#include <string>

#include "koine/rsocket/frame.h"

namespace koine::rsocket {

namespace {

std::string number(std::uint64_t value) { return std::to_string(value); }

std::string quoted(Bytes bytes) {
  std::string text = "'";
  for (const std::byte byte : bytes) {
    const auto c = std::to_integer<unsigned char>(byte);
    if (c >= 0x20 && c < 0x7f) {
      text += static_cast<char>(c);
    } else {
      std::array<char, 5> hex;
      std::snprintf(hex.data(), hex.size(), "\\x%02x", static_cast<unsigned>(c));
      text += hex.data();
    }
  }
  return text + "'";
}

std::string words(const Payload& payload) {
  std::string text;
  if (payload.metadata) text += " metadata=" + quoted(*payload.metadata);
  return text + " " + quoted(payload.data);
}

struct InWords {
  std::string operator()(const Setup& setup) const {
    std::string text = "SETUP " + number(setup.major) + "." + number(setup.minor) +
                       " keepalive=" + number(setup.keepalive_ms) +
                       " lifetime=" + number(setup.lifetime_ms);
    if (setup.lease) text += " lease";
    if (setup.resume_token) text += " token=" + quoted(*setup.resume_token);
    return text + " " + quoted(as_bytes(setup.metadata_mime_type)) + " " +
           quoted(as_bytes(setup.data_mime_type)) + words(setup.payload);
  }
  std::string operator()(const Lease& lease) const {
    return "LEASE ttl=" + number(lease.time_to_live_ms) + " requests=" + number(lease.requests) +
           (lease.metadata ? " metadata=" + quoted(*lease.metadata) : "");
  }
  std::string operator()(const KeepAlive& keepalive) const {
    return std::string("KEEPALIVE") + (keepalive.respond ? " respond" : "") +
           " position=" + number(keepalive.last_position) + " " + quoted(keepalive.data);
  }
  std::string operator()(const Request& request) const {
    return std::string(to_string(request.type)) + (request.follows ? " follows" : "") +
           (request.complete ? " complete" : "") +
           (request.initial_n != 0 ? " n=" + number(request.initial_n) : "") +
           words(request.payload);
  }
  std::string operator()(const RequestN& request_n) const {
    return "REQUEST_N " + number(request_n.n);
  }
  std::string operator()(const Cancel&) const { return "CANCEL"; }
  std::string operator()(const Next& next) const {
    return std::string("PAYLOAD") + (next.follows ? " follows" : "") +
           (next.complete ? " complete" : "") + (next.next ? " next" : "") + words(next.payload);
  }
  std::string operator()(const Failure& failure) const {
    return "ERROR " + to_string(failure.code) + " " + quoted(as_bytes(failure.text));
  }
  std::string operator()(const MetadataPush& push) const {
    return "METADATA_PUSH " + quoted(push.metadata);
  }
  std::string operator()(const Resume& resume) const {
    return "RESUME " + number(resume.major) + "." + number(resume.minor) +
           " token=" + quoted(resume.token) + " received=" + number(resume.last_received) +
           " available=" + number(resume.first_available);
  }
  std::string operator()(const ResumeOk& resume_ok) const {
    return "RESUME_OK received=" + number(resume_ok.last_received);
  }
  std::string operator()(const Extension& extension) const {
    return "EXT " + number(extension.type) + (extension.can_ignore ? " ignorable " : " ") +
           quoted(extension.body);
  }
};

}  // namespace

std::string to_string(const Frame& frame) {
  return number(frame.stream_id) + " " + std::visit(InWords(), frame.body);
}

std::string_view to_string(FrameType type) {
  switch (type) {
    case FrameType::setup: return "SETUP";
    case FrameType::lease: return "LEASE";
    case FrameType::keepalive: return "KEEPALIVE";
    case FrameType::request_response: return "REQUEST_RESPONSE";
    case FrameType::request_fnf: return "REQUEST_FNF";
    case FrameType::request_stream: return "REQUEST_STREAM";
    case FrameType::request_channel: return "REQUEST_CHANNEL";
    case FrameType::request_n: return "REQUEST_N";
    case FrameType::cancel: return "CANCEL";
    case FrameType::payload: return "PAYLOAD";
    case FrameType::error: return "ERROR";
    case FrameType::metadata_push: return "METADATA_PUSH";
    case FrameType::resume: return "RESUME";
    case FrameType::resume_ok: return "RESUME_OK";
    case FrameType::extension: return "EXT";
  }
  return "unknown";
}

std::string to_string(ErrorCode code) {
  switch (code) {
    case ErrorCode::reserved: return "RESERVED";
    case ErrorCode::invalid_setup: return "INVALID_SETUP";
    case ErrorCode::unsupported_setup: return "UNSUPPORTED_SETUP";
    case ErrorCode::rejected_setup: return "REJECTED_SETUP";
    case ErrorCode::rejected_resume: return "REJECTED_RESUME";
    case ErrorCode::connection_error: return "CONNECTION_ERROR";
    case ErrorCode::connection_close: return "CONNECTION_CLOSE";
    case ErrorCode::application_error: return "APPLICATION_ERROR";
    case ErrorCode::rejected: return "REJECTED";
    case ErrorCode::canceled: return "CANCELED";
    case ErrorCode::invalid: return "INVALID";
  }
  std::array<char, 11> text;
  std::snprintf(text.data(), text.size(), "0x%08x", static_cast<unsigned>(code));
  return text.data();
}

}  // namespace koine::rsocket
