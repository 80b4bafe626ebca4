// A machine that starts with exported files in their places: the real systemd starts the program that reads them as its
// package and its operator have it, and GRE and VLANs to another host are there, without an agent.
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { type Format, WRITERS } from "../../src/formats/formats.ts";
import { ADDRESSES, greAndVlans } from "../netns/lab/greAndVlans.ts";
import { PACKAGES, whyNoTools } from "../netns/lab/hostTools.ts";
import { whyNoGuests } from "./files.ts";
import { runInGuest } from "./machine.ts";

type Boot = {
  /** What an operator enables. */
  readonly unit?: string;
  /** What reads the folder of exported files, where nothing does by itself. */
  readonly more?: Readonly<Record<string, string>>;
  /** Of another network than it can say. */
  readonly lacks?: string;
};

const BOOTS: readonly (readonly [Format, Boot])[] = [
  [
    "ifupdown",
    { unit: "networking.service", more: { "/etc/network/interfaces": "source /etc/network/interfaces.d/*\n" } },
  ],
  ["networkd", { unit: "systemd-networkd.service" }],
  // It knows no tags around others.
  ["netplan", { lacks: "10.83.0.2" }],
  ["iproute2", { unit: "/etc/weft/export/weft-x.service" }],
];

describe("a boot with exported files", { skip: whyNoGuests() ?? whyNoTools() ?? false, timeout: 240_000 }, () => {
  const folder = mkdtempSync(join(tmpdir(), "weft-boot-"));
  after(() => rmSync(folder, { recursive: true }));

  const write = (root: string, path: string, text: string, mode = 0o644) => {
    mkdirSync(join(root, path, ".."), { recursive: true });
    writeFileSync(join(root, path), text, { mode });
  };
  const written = (format: Format, host: number) =>
    WRITERS[format]({ plan: greAndVlans(host), name: "x", header: ["Written by a test."] });
  const peer = join(folder, "peer.sh");
  writeFileSync(peer, written("iproute2", 2).files[0]?.text ?? "");

  for (const [format, { unit = "-", more = {}, lacks }] of BOOTS)
    test(`${format}: networks are there after the start`, async () => {
      const root = join(folder, format);
      const { folder: place, files } = written(format, 1);
      for (const { path, text, mode } of files) write(root, join(place, path), text, mode);
      for (const [path, text] of Object.entries(more)) write(root, path, text);
      const reached = ADDRESSES.filter((address) => address !== lacks);
      let said = "";
      const code = await runInGuest({
        argv: ["sh", join(import.meta.dirname, "boot.sh"), join(PACKAGES, format), root, peer, unit, ...reached],
        env: {},
        print: (chunk) => (said += chunk.toString()),
        record: () => undefined,
      });
      assert.equal(code, 0, said);
      // Programs go on without what they do not understand, and say so.
      assert.doesNotMatch(said, /unknown|ignor|invalid|failed|could not|cannot/i);
    });
});
