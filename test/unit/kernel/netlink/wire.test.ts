// Netlink messages as bytes, both ways.
import { strict as assert } from "node:assert";
import { test } from "node:test";
import fc from "fast-check";
import { formatIp, ipOf } from "../../../../src/model/address.ts";
import { Refused } from "../../../../src/kernel/errno.ts";
import {
  eachAttribute,
  eachMessage,
  fill,
  flagAt,
  ipIn,
  ipTextAt,
  macAt,
  MessageWriter,
  type Received,
  textAt,
  u32At,
} from "../../../../src/kernel/netlink/wire.ts";

const LINK = 16;

function messagesIn(w: MessageWriter): Received[] {
  const messages: Received[] = [];
  eachMessage(w.bytes, w.finish(), (message) => messages.push(message));
  return messages;
}

test("a message is the bytes that iproute2 sends", () => {
  const w = new MessageWriter(256);
  w.begin(LINK, 0x605, 7);
  for (const word of [0, 0, 1, 1]) w.u32(word);
  w.attrText(3, "wb7");
  w.nest(18, () => w.attrText(1, "bridge"));
  w.finish();
  // ip link add wb7 up type bridge: header, ifinfomsg, IFLA_IFNAME, IFLA_LINKINFO { IFLA_INFO_KIND }.
  const expected = [
    "38000000100005060700000000000000",
    "00000000000000000100000001000000",
    "0800030077623700",
    "10001280",
    "0b00010062726964676500" + "00",
  ].join("");
  assert.equal(w.bytes.toString("hex", 0, w.length), expected);
});

test("messages that follow each other are read back, whatever is in them", () => {
  const attribute = fc.record({ type: fc.integer({ min: 1, max: 200 }), text: fc.string({ maxLength: 40 }) });
  fc.assert(
    fc.property(fc.array(fc.array(attribute, { maxLength: 8 }), { minLength: 1, maxLength: 8 }), (bodies) => {
      const w = new MessageWriter(64 * 1024);
      for (const [i, body] of bodies.entries()) {
        w.begin(LINK, 1, i + 1);
        for (const { type, text } of body) w.attrText(type, text.replaceAll("\0", ""));
      }
      const read = messagesIn(w).map(({ bytes, start, end }) => {
        const found: { type: number; text: string }[] = [];
        eachAttribute(bytes, start, end, (type, from, to) => found.push({ type, text: textAt(bytes, from, to) }));
        return found;
      });
      const written = bodies.map((body) => body.map(({ type, text }) => ({ type, text: text.replaceAll("\0", "") })));
      // A lone surrogate has no UTF-8 form.
      assert.deepEqual(read, JSON.parse(Buffer.from(JSON.stringify(written)).toString()));
      assert.deepEqual(
        messagesIn(w).map(({ seq }) => seq),
        bodies.map((_, i) => i + 1),
      );
      assert.deepEqual([w.firstSeq, w.lastSeq, w.count], [1, bodies.length, bodies.length]);
    }),
  );
});

test("only the last message asks for an acknowledgement", () => {
  const w = new MessageWriter(256);
  for (const seq of [1, 2]) w.begin(LINK, 1, seq);
  w.askForAck();
  assert.deepEqual(
    messagesIn(w).map(({ flags }) => flags),
    [1, 5],
  );
});

test("what is cut short is left out, and does not read beyond the end", () => {
  const w = new MessageWriter(256);
  w.begin(LINK, 1, 1);
  w.attrU32(4, 1450);
  w.finish();
  for (let length = 0; length < w.length; length++) eachMessage(w.bytes, length, () => assert.fail("not whole"));
  const [message] = messagesIn(w);
  assert(message !== undefined);
  eachAttribute(w.bytes, message.start, message.end - 1, () => assert.fail("not whole"));
});

test("addresses and MACs survive the wire", () => {
  const ip = fc.oneof(
    fc.bigInt({ min: 0n, max: (1n << 32n) - 1n }).map((value) => formatIp({ family: 4, value })),
    fc.bigInt({ min: 0n, max: (1n << 128n) - 1n }).map((value) => formatIp({ family: 6, value })),
  );
  const mac = fc.uint8Array({ minLength: 6, maxLength: 6 }).map((bytes) => Buffer.from(bytes).toString("hex"));
  fc.assert(
    fc.property(ip, mac, (address, hex) => {
      const w = new MessageWriter(256);
      const text = hex.match(/../g)?.join(":") ?? "";
      w.begin(LINK, 1, 1);
      w.attrIp(1, ipIn(address));
      w.attrMac(2, text);
      w.finish();
      eachAttribute(w.bytes, 16, w.length, (type, from, to) => {
        if (type === 1) assert.equal(ipTextAt(w.bytes, from, to), address);
        else assert.equal(macAt(w.bytes, from, to), text);
      });
    }),
  );
  assert.equal(ipOf("10.0.0.256"), undefined);
  assert.throws(() => ipIn("10.0.0.256"), Refused);
});

test("attributes fill a record by their names, those inside another as well", () => {
  const w = new MessageWriter(256);
  w.begin(LINK, 1, 1);
  w.u32(9);
  w.attrText(3, "wb7");
  w.attrU32(99, 1);
  w.nest(18, () => w.nest(2, () => w.attrU8(5, 1)));
  const [message] = messagesIn(w);
  assert(message !== undefined);
  const layout = { 3: ["name", textAt], 4: ["mtu", u32At], 18: { 2: { 5: ["isSnooping", flagAt] } } } as const;
  const read = fill({ name: "", mtu: 1500, isSnooping: false }, layout, message, 4);
  assert.deepEqual(read, { name: "wb7", mtu: 1500, isSnooping: true });
});
