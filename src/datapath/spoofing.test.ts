// What is known of a port's addresses without being told: its link-local one.
import assert from "node:assert/strict";
import { test } from "node:test";
import { formatIp, formatMac, macValue, slaacIp } from "../model/address.ts";
import { linkLocal } from "./spoofing.ts";

test("a link-local address is the canonical text of fe80:: and the MAC's EUI-64, with zeros wherever they are", () => {
  const bytes = [0, 1, 2, 0x0f, 0x10, 0xff];
  for (let n = 0; n < bytes.length ** 6; n += 7) {
    let rest = n;
    let value = 0n;
    for (let i = 0; i < 6; i++) {
      value = value * 256n + BigInt(bytes[rest % bytes.length] ?? 0);
      rest = Math.floor(rest / bytes.length);
    }
    const mac = formatMac(value);
    assert.equal(linkLocal(mac), formatIp(slaacIp(0xfe80n << 112n, macValue(mac))), mac);
  }
});
