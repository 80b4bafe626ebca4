// What flags say about a network: the words of --spoofing, both ways, and those of multicast peers.
import assert from "node:assert/strict";
import { test } from "node:test";
import { clearedBy, draftOf, spoofingOf, spoofingText } from "../../../../src/cli/network/draft.ts";

test("words become what is allowed, and are read back in words", () => {
  const spoofing = spoofingOf(["dhcp-server", "ip"]);
  assert.deepEqual(spoofing, { dhcpServer: true, ip: true });
  assert.equal(spoofingText(spoofing), "allowed: ip, dhcp-server");
  assert.deepEqual(spoofingOf(["none"]), {});
  for (const nothing of [undefined, {}, { mac: false }]) assert.equal(spoofingText(nothing), undefined);
});

test("another word is refused with those that there are", () => {
  assert.throws(() => spoofingOf(["ip", "dhcp"]), {
    reason: "request-invalid",
    message: /"dhcp" is not something .*--spoofing.*choose from mac, ip, dhcp-server/s,
  });
});

test("what is said of multicast peers, and how it is taken back", () => {
  const many = { peers: "multicast", group: "239.1.2.3", ttl: "5", underlayDevice: "eth2", outsider: ["192.0.2.9"] };
  const { peers, group, ttl, underlayDevice, outsiders } = draftOf(many);
  assert.deepEqual(
    { peers, group, ttl, underlayDevice, outsiders },
    { peers: "multicast", group: "239.1.2.3", ttl: 5, underlayDevice: "eth2", outsiders: ["192.0.2.9"] },
  );
  assert.deepEqual(clearedBy(many), []);
  const auto = { group: "auto", ttl: "auto", underlayDevice: "auto", outsider: ["none"] };
  assert.deepEqual(draftOf(auto), { outsiders: [] });
  assert.deepEqual([...clearedBy(auto)].sort(), ["group", "outsiders", "ttl", "underlayDevice"]);
  assert.deepEqual([...clearedBy({ peers: "unicast" })].sort(), ["group", "outsiders", "ttl", "underlayDevice"]);
  assert.throws(() => draftOf({ peers: "broadcast" }), /--peers/);
  assert.throws(() => draftOf({ ttl: "five" }), /--ttl/);
});
