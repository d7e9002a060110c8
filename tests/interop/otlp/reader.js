// Reads OTLP/JSON from standard input with the messages of OpenTelemetry's own package, and tells
// the spans. What those messages do not know would be lost on the way: then it fails.
"use strict";

const assert = require("assert");
const {readFileSync} = require("fs");
const {opentelemetry} = require("@opentelemetry/otlp-transformer/build/src/generated/root");

const Request = opentelemetry.proto.collector.trace.v1.ExportTraceServiceRequest;

// OTLP/JSON has ids in hex, where JSON of Protocol Buffers has base64 (opentelemetry-proto,
// "JSON Protobuf Encoding").
const ids = ["traceId", "spanId", "parentSpanId"];
const isEmpty = (value) => Array.isArray(value) && value.length === 0;  // as good as left out
const fromHex = (key, value) => (ids.includes(key) ? Buffer.from(value, "hex") : value);
const toHex = (key, value) => (ids.includes(key) ? Buffer.from(value, "base64").toString("hex")
                                                 : value);

const text = readFileSync(0, "utf8");
const object = JSON.parse(text, fromHex);
const wrong = Request.verify(Request.fromObject(object));
if (wrong) throw new Error(wrong);
const binary = Request.encode(Request.fromObject(object)).finish();
const read = Request.toObject(Request.decode(binary), {longs: String, bytes: String});
const again = JSON.parse(JSON.stringify(read), toHex);
assert.deepStrictEqual(again, JSON.parse(text, (_, value) => (isEmpty(value) ? undefined : value)));

for (const resource of again.resourceSpans) {
  const service = resource.resource.attributes.find(({key}) => key === "service.name");
  for (const scope of resource.scopeSpans) {
    for (const span of scope.spans || []) {
      const events = (span.events || []).map(({name}) => name.replace("koine.", ""));
      console.log(service.value.stringValue, span.name, span.kind, span.traceId, span.spanId,
                  span.parentSpanId || "-", span.startTimeUnixNano, span.endTimeUnixNano,
                  events.join(","));
    }
  }
}
