// The words of --spoofing, both ways.
import assert from "node:assert/strict";
import { test } from "node:test";
import { spoofingOf, spoofingText } from "../../../../src/cli/network/draft.ts";

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
