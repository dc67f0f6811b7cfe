// Drives secs4js 0.4.7 over lines on stdin and stdout; the line protocol is in README.md beside this file.
//
// Everything on the wire is secs4js' own work: its active and passive communicators hold the connection, and bodies go
// through its SECS-II classes both ways. Members that TypeScript would call protected are touched only where a comment
// beside it says why.

import { createInterface } from "node:readline";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";

const OPEN_REQUESTS_MAX = 1000;
const HALF_BODY = 1024;
const NEVER_MS = 2 ** 31 - 1;

// A pipe is written synchronously by Node, so a line is out when `say` returns.
function say(...fields) {
  process.stdout.write(fields.map((field) => String(field).replace(/\s+/g, " ")).join(" ") + "\n");
}

process.stdout.on("error", () => process.exit(1));
process.on("uncaughtException", (err) => {
  say("error", err);
});
process.on("unhandledRejection", (err) => {
  say("error", err);
});

// The package lies outside the source tree, where `setup` has installed it.
const entry = join(process.env.HSMS_PEERS_DIR ?? "target/peers", "secs4js/node_modules/secs4js/lib/index.js");
const { HsmsActiveCommunicator, HsmsMessage, HsmsPassiveCommunicator, HsmsState, Secs2ItemParser } = await import(
  pathToFileURL(entry)
);

const { values: args } = parseArgs({
  options: Object.fromEntries(
    ["connect", "role", "address", "port", "session", "t3", "t5", "t6", "t7", "t8", "linktest", "system"].map((name) => [
      name,
      { type: "string" },
    ]),
  ),
});
if (!["active", "passive"].includes(args.connect) || !["host", "equipment"].includes(args.role) || !args.port) {
  console.error("needed: --connect active|passive --role host|equipment --port N");
  process.exit(2);
}
const passive = args.connect === "passive";
const linktestMs = Number(args.linktest ?? 0) * 1000;

const config = {
  ip: args.address ?? "127.0.0.1",
  port: Number(args.port),
  deviceId: Number(args.session ?? 0),
  isEquip: args.role === "equipment",
  timeoutT3: Number(args.t3 ?? 45),
  timeoutT5: Number(args.t5 ?? 10),
  timeoutT6: Number(args.t6 ?? 5),
  timeoutT7: Number(args.t7 ?? 10),
  timeoutT8: Number(args.t8 ?? 5),
  linkTestInterval: linktestMs > 0 ? linktestMs : NEVER_MS,
};
const peer = passive ? new HsmsPassiveCommunicator(config) : new HsmsActiveCommunicator(config);
if (args.system !== undefined) {
  // No public setting exists for the first system bytes (1 in secs4js).
  peer._systemBytesCounter = Number(args.system) - 1;
}

let silent = false;
let open = 0;
let listening = false;

function bodyOf(hex) {
  if (hex === "-") return null;
  const octets = Buffer.from(hex, "hex");
  if (octets.length * 2 !== hex.length) throw new Error("the body is not hexadecimal");
  const { item } = Secs2ItemParser.fromBuffer(octets);
  const again = item.toBuffer();
  if (!again.equals(octets)) {
    throw new Error(`secs4js encodes these ${octets.length} octets as ${again.length} others`);
  }
  return item;
}

function hexOf(message) {
  return message.body ? message.body.toBuffer().toString("hex") : "-";
}

function reasonOf(err) {
  const text = err instanceof Error ? err.message : String(err);
  if (text.startsWith("T3 Timeout")) return "t3";
  if (text.startsWith("T6 Timeout")) return "t6";
  if (text === "HSMS not selected") return "not-selected";
  if (text === "Socket closed" || text === "Socket not connected") return "closed";
  return `other ${text}`;
}

// What secs4js reports.

peer.on("connected", () => say("connected"));
peer.on("selected", () => say("selected"));
peer.on("deselected", () => say("deselected"));
peer.on("disconnected", () => {
  // The promises of the requests that were lost are settled before the next turn of the event loop, and so are their lines.
  setImmediate(() => say("closed"));
});
peer.on("error", (err) => {
  say("error", err.message);
  if (passive && !listening) process.exit(3); // the port is taken
});
peer.on("message", (message) => {
  const primary = message.func % 2 === 1;
  const system = message.systemBytes.toString(16).padStart(8, "0");
  say(primary ? "primary" : "stray", message.stream, message.func, system, Number(message.wBit), hexOf(message));
  if (primary && message.wBit && !silent) {
    peer.reply(message, message.stream, message.func + 1, message.body).catch((err) => {
      say("error", `reply to ${system} was not sent: ${err.message}`);
    });
  }
});

// What the lines on stdin ask for.

async function request(name, stream, func, hex, wBit) {
  let body;
  try {
    body = bodyOf(hex);
  } catch (err) {
    say("failed", name, "invalid", err.message);
    return;
  }
  if (open >= OPEN_REQUESTS_MAX) {
    say("failed", name, "invalid too many requests are open");
    return;
  }
  open += 1;
  try {
    const answer = await peer.send(Number(stream), Number(func), wBit, body);
    if (wBit) say("reply", name, answer.stream, answer.func, hexOf(answer));
    else say("sent", name);
  } catch (err) {
    say("failed", name, reasonOf(err));
  } finally {
    open -= 1;
  }
}

async function linktest() {
  if (peer.connectionState === HsmsState.NotConnected) {
    say("linktest failed closed");
    return;
  }
  try {
    await peer.sendLinkTestReq();
    say("linktest ok");
  } catch (err) {
    say("linktest failed", reasonOf(err));
  }
}

async function half() {
  const body = bodyOf("22" + HALF_BODY.toString(16).padStart(4, "0") + "00".repeat(HALF_BODY));
  // No public call takes octets or gives the next system bytes; these are the ones secs4js itself sends with.
  const frame = new HsmsMessage(1, 1, true, body, peer.getNextSystemBytes(), config.deviceId).toBuffer();
  const count = frame.length >> 1;
  try {
    await peer.sendBuffer(frame.subarray(0, count));
    say("half", count, frame.length);
  } catch {
    say("half", 0, frame.length);
  }
}

async function separate() {
  if (peer.connectionState !== HsmsState.NotConnected) await peer.sendSeparateReq();
  say("separated");
}

async function quit() {
  setTimeout(() => process.exit(4), 5000).unref();
  await separate();
  await peer.close();
  say("bye");
  process.exit(0);
}

async function command(line) {
  const [word, ...rest] = line.split(/\s+/);
  if ((word === "request" || word === "send") && rest.length === 4) await request(...rest, word === "request");
  else if (word === "linktest" && rest.length === 0) await linktest();
  else if (word === "separate" && rest.length === 0) await separate();
  else if (word === "silent" && rest.length === 1 && ["on", "off"].includes(rest[0])) {
    silent = rest[0] === "on";
    say("silent", rest[0]);
  } else if (word === "half" && rest.length === 0) await half();
  else if (word === "quit" && rest.length === 0) await quit();
  else say("error", "not a command:", line.slice(0, 80));
}

const lines = createInterface({ input: process.stdin, crlfDelay: Infinity });
lines.on("line", (line) => {
  if (line.trim()) command(line.trim()).catch((err) => say("error", `${err} in command ${line.slice(0, 80)}`));
});
lines.on("close", () => process.exit(0));

if (passive) {
  await peer.open();
  listening = true;
  say("listening", config.port);
} else {
  // Resolves at the first connection, which may never come.
  peer.open().catch((err) => say("error", err.message));
}
