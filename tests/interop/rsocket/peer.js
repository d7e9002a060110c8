// The other end of the conversation of peer.cc, with rsocket-js.
//
//     node peer.js serve              prints "port N" and serves until it is killed
//     node peer.js ask PORT [lease]   has the conversation, lets the other side have it too, and
//                                     prints both
//     node peer.js resume PORT        loses its connection in the middle of a stream, a call and a
//                                     message, comes back, and prints what arrived
"use strict";

const core = require("rsocket-core");
const { Flowable, Single } = require("rsocket-flowable");
const { default: TcpClient } = require("rsocket-tcp-client");
const { default: TcpServer } = require("rsocket-tcp-server");
const net = require("net");

const setup = {
  keepAlive: 50,
  lifetime: 60000,
  dataMimeType: core.APPLICATION_OCTET_STREAM.string,
  metadataMimeType: core.MESSAGE_RSOCKET_COMPOSITE_METADATA.string,
};
const large = "x".repeat(700000);
const message = (data) => ({ data: Buffer.from(String(data)) });

function request(route, data) {
  return {
    data: Buffer.from(data || ""),
    metadata: core.encodeCompositeMetadata([
      [core.MESSAGE_RSOCKET_ROUTING, core.encodeRoute(route)],
    ]),
  };
}

function routeOf(payload) {
  for (const entry of core.decodeCompositeMetadata(payload.metadata))
    if (entry.mimeType === core.MESSAGE_RSOCKET_ROUTING.string)
      return core.decodeRoutes(entry.content).next().value;
  return "";
}

// The same service as in peer.cc. `turn` is asked for the conversation with the other side.
function service(turn) {
  let noted = "";
  let cancelled = 0;
  const calls = {
    echo: (payload) => Single.of({ data: payload.data }),
    fail: () => Single.error(new Error("no good")),
    noted: () => Single.of(message(noted)),
    cancelled: () => Single.of(message(cancelled)),
    never: () => new Single((subscriber) => subscriber.onSubscribe(() => cancelled++)),
    turn: () =>
      new Single((subscriber) => {
        subscriber.onSubscribe(() => {});
        turn().then(
          (text) => subscriber.onComplete(message(text)),
          (error) => subscriber.onError(error)
        );
      }),
  };
  return {
    requestResponse: (payload) => calls[routeOf(payload)](payload),
    fireAndForget: (payload) => (noted += payload.data),
    requestStream: (payload) =>
      new Flowable((subscriber) => {
        const end = Number(payload.data);
        let at = 0;
        let isOver = false;
        subscriber.onSubscribe({
          cancel: () => {
            if (!isOver) cancelled++;
            isOver = true;
          },
          request: (n) => {
            for (; n > 0 && !isOver && at < end; n--) subscriber.onNext(message(at++));
            if (at === end && !isOver) {
              isOver = true;
              subscriber.onComplete();
            }
          },
        });
      }),
    requestChannel: (payloads) =>
      new Flowable((subscriber) => {
        let sum = 0;
        let source;
        payloads.subscribe({
          onSubscribe: (subscription) => (source = subscription),
          onNext: (payload) => subscriber.onNext(message((sum += Number(payload.data)))),
          onComplete: () => subscriber.onComplete(),
          onError: (error) => subscriber.onError(error),
        });
        subscriber.onSubscribe({
          cancel: () => source.cancel(),
          request: (n) => source.request(n),
        });
      }),
  };
}

const answerOf = (single) =>
  new Promise((resolve) =>
    single.subscribe({
      onComplete: (payload) => resolve(String(payload.data)),
      onError: (error) =>
        resolve(
          error.source ? error.source.explanation + ": " + error.source.message : String(error)
        ),
    })
  );

// Takes so many items, two requested at a time, and cancels if there are more.
const itemsOf = (flowable, most) =>
  new Promise((resolve, reject) => {
    let text = "";
    let taken = 0;
    let source;
    flowable.subscribe({
      onSubscribe: (subscription) => {
        source = subscription;
        source.request(2);
      },
      onNext: (payload) => {
        text += " " + payload.data;
        if (++taken === most) {
          source.cancel();
          resolve(text);
        } else if (taken % 2 === 0) {
          source.request(2);
        }
      },
      onComplete: () => resolve(text),
      onError: reject,
    });
  });

async function conversation(socket) {
  const said = (route, data) => answerOf(socket.requestResponse(request(route, data)));
  let text = "";
  text += "echo: " + (await said("echo", "hello")) + "\n";
  text += "fail: " + (await said("fail")) + "\n";
  text += "count:" + (await itemsOf(socket.requestStream(request("count", "5")), 10)) + "\n";
  const numbers = Flowable.just(request("sum", "1"), ...[2, 3, 4, 5].map(message));
  text += "sum:" + (await itemsOf(socket.requestChannel(numbers), 10)) + "\n";
  socket.fireAndForget(request("note", "one"));
  text += "noted: " + (await said("noted")) + "\n";
  let cancel;
  socket
    .requestResponse(request("never"))
    .subscribe({ onSubscribe: (how) => (cancel = how), onComplete() {}, onError() {} });
  text += (await said("echo", "meanwhile")) + "\n";
  cancel();
  text += "cancelled: " + (await said("cancelled")) + "\n";
  text += "taken:" + (await itemsOf(socket.requestStream(request("count", "1000000")), 3)) + "\n";
  text += "cancelled: " + (await said("cancelled")) + "\n";
  text += "large: " + ((await said("echo", large)) === large ? "the same" : "different") + "\n";
  return text;
}

function serve() {
  const transport = new TcpServer(
    {
      host: "127.0.0.1",
      port: 0,
      serverFactory: (onConnection) => {
        const server = net.createServer(onConnection);
        server.on("listening", () => console.log("port " + server.address().port));
        return server;
      },
    },
    core.BufferEncoders
  );
  new core.RSocketServer({
    transport,
    getRequestHandler: (socket) => service(() => conversation(socket)),
  }).start();
}

// What is granted at once would leave before SETUP.
const leaseLater = () =>
  new Flowable((subscriber) =>
    subscriber.onSubscribe({
      cancel() {},
      request: () => setImmediate(() => subscriber.onNext(new core.Lease(60000, 1000))),
    })
  );

async function ask(port, hasLeases) {
  const transport = new TcpClient({ host: "127.0.0.1", port }, core.BufferEncoders);
  let socket;
  let leased;
  const lease = new Promise((resolve) => (leased = resolve));
  const client = new core.RSocketClient({
    transport,
    setup,
    responder: service(() => conversation(socket)),
    leases: hasLeases
      ? () =>
          new core.Leases()
            .receiver((leases) =>
              leases.subscribe({
                onSubscribe: (subscription) => subscription.request(1000),
                onNext: leased,
                onComplete() {},
                onError() {},
              })
            )
            .sender(() => leaseLater())
      : undefined,
  });
  socket = await new Promise((onComplete, onError) =>
    client.connect().subscribe({ onComplete, onError, onSubscribe() {} })
  );
  let heard = 0;
  let kept;
  const alive = new Promise((resolve) => (kept = resolve));
  transport.receive().subscribe({
    onSubscribe: (subscription) => subscription.request(Number.MAX_SAFE_INTEGER),
    onNext: (frame) => {
      if (frame.type === core.FRAME_TYPES.KEEPALIVE && ++heard === 3) kept();
    },
    onComplete() {},
    onError() {},
  });
  if (hasLeases) await lease;
  socket
    .metadataPush({ metadata: Buffer.from("nobody asked") })
    .subscribe({ onComplete() {}, onError() {}, onSubscribe() {} });
  const told = await conversation(socket);
  const turned = await answerOf(socket.requestResponse(request("turn")));
  await alive;
  process.stdout.write(told + "the other way round\n" + turned + "kept alive\n");
  client.close();
}

async function resume(port) {
  let connection;
  let connections = 0;
  const transport = new core.RSocketResumableTransport(
    () => {
      connections++;
      return (connection = new TcpClient({ host: "127.0.0.1", port }, core.BufferEncoders));
    },
    { bufferSize: 1 << 20, resumeToken: Buffer.from("nobody guesses it"), sessionDurationSeconds: 60 },
    core.BufferEncoders
  );
  const client = new core.RSocketClient({ transport, setup });
  const socket = await new Promise((onComplete, onError) =>
    client.connect().subscribe({ onComplete, onError, onSubscribe() {} })
  );
  let early;
  const items = await new Promise((resolve, onError) => {
    let text = "";
    let source;
    socket.requestStream(request("count", "40")).subscribe({
      onSubscribe: (subscription) => (source = subscription).request(4),
      onNext: (payload) => {
        text += " " + payload.data;
        if (String(payload.data) === "10" || String(payload.data) === "20") {
          early = answerOf(socket.requestResponse(request("echo", "asked while it is cut")));
          socket.fireAndForget(request("note", "noted "));
          connection.close();
          socket.fireAndForget(request("note", "meanwhile "));
          transport.connect();
        }
        source.request(1);
      },
      onComplete: () => resolve(text),
      onError,
    });
  });
  const noted = await answerOf(socket.requestResponse(request("noted")));
  console.log(`${connections} connections\n${items}\n${await early}\n${noted}`);
  client.close();
}

const [how, port, lease] = process.argv.slice(2);
const failed = (error) => {
  console.error(error);
  process.exit(1);
};
if (how === "serve") serve();
if (how === "ask") ask(Number(port), lease === "lease").catch(failed);
if (how === "resume") resume(Number(port)).catch(failed);
