// What tcpdump -x shows of IPv4 and TCP: the bytes that each packet carries, and what TLS says in them without a key.

/** Of a packet: from which port, and its bytes above TCP. */
type Payload = { readonly port: number; readonly bytes: Buffer };

export function payloadsIn(text: string): readonly Payload[] {
  const packets: string[] = [];
  for (const line of text.split("\n")) {
    const [, at, hex] = /^\s+0x([0-9a-f]{4}):\s+([0-9a-f ]+)$/.exec(line) ?? [];
    if (hex === undefined) continue;
    if (at === "0000") packets.push("");
    packets[packets.length - 1] += hex.replaceAll(" ", "");
  }
  return packets.map((hex) => payloadOf(Buffer.from(hex, "hex")));
}

function payloadOf(packet: Buffer): Payload {
  const tcp = (packet.readUInt8(0) & 15) * 4;
  const end = packet.readUInt16BE(2);
  const data = tcp + (packet.readUInt8(tcp + 12) >> 4) * 4;
  return { port: packet.readUInt16BE(tcp), bytes: packet.subarray(data, end) };
}

/**
 * The version that a ServerHello at the begin of these bytes chooses (RFC 8446, 4.1.3 and 4.2.1), as `0304`; undefined
 * if there is none.
 */
export function chosenVersion(bytes: Buffer): string | undefined {
  const HANDSHAKE = 22;
  const SERVER_HELLO = 2;
  if (bytes.length < 44 || bytes.readUInt8(0) !== HANDSHAKE || bytes.readUInt8(5) !== SERVER_HELLO) return undefined;
  // Record, type and length of the message, version, random; then the session id, its length first.
  const cipher = 44 + bytes.readUInt8(43);
  const legacy = bytes.subarray(9, 11).toString("hex");
  const extensions = cipher + 5;
  const end = Math.min(bytes.length, extensions + bytes.readUInt16BE(cipher + 3));
  for (let at = extensions; at + 4 <= end; at += 4 + bytes.readUInt16BE(at + 2))
    if (bytes.readUInt16BE(at) === 43) return bytes.subarray(at + 4, at + 6).toString("hex");
  return legacy;
}
