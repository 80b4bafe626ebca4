// What an agent keeps on disk: what it finds again, what it takes for damaged, and two of its parts that write at once.
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, test } from "node:test";
import { FaultyFiles } from "../../files/faulty.ts";
import { realFiles } from "../../../../src/files/real.ts";
import { emptySnapshot } from "../../../../src/model/resource.ts";
import { openDisk } from "../../../../src/agent/server/stateDir.ts";

test("snapshots that are saved at once are saved one after the other, and the last one stays", async () => {
  const directory = mkdtempSync(join(tmpdir(), "weft-disk-"));
  try {
    const disk = openDisk(directory, realFiles);
    const save = (revision: number) => disk.saveSnapshot({ ...emptySnapshot("c"), revision });
    await Promise.all([save(1), save(2), save(3)]);
    assert.equal(disk.snapshot()?.revision, 3);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});

describe("the state directory", () => {
  let directory = "";
  beforeEach(() => {
    directory = join(mkdtempSync(join(tmpdir(), "weft-state-")), "deep", "state");
  });
  afterEach(() => rmSync(dirname(dirname(directory)), { recursive: true, force: true }));
  const open = () => openDisk(directory, realFiles);
  const IDENTITY = { host: "h1", cluster: "c", key: "first" };

  test("is made, for its own user alone, and one that cannot be made is told", () => {
    assert.equal(open().journalPath, join(directory, "attachments.ndjson"));
    assert.equal(statSync(directory).mode & 0o777, 0o700);
    writeFileSync(join(directory, "file"), "");
    assert.throws(() => openDisk(join(directory, "file", "x"), realFiles), { reason: "unavailable" });
  });

  test("has nothing at first, and what was saved ever after, in files for its own user alone", async () => {
    const disk = open();
    assert.deepEqual(
      [disk.identity(), disk.proposed(), disk.blockLease(), disk.snapshot(), disk.troubles()],
      [undefined, undefined, undefined, undefined, []],
    );
    disk.saveIdentity(IDENTITY);
    disk.saveCertificate({ certificate: "c", ca: "b" });
    disk.saveBlockLease({ reclaimAfterMs: 5 });
    await disk.saveSnapshot({ ...emptySnapshot("c"), revision: 3 });
    assert.equal(
      disk.proposal(() => assert.fail("it has one")),
      "first",
    );
    disk.nextProposal(() => "second", new Set());
    const again = open();
    assert.deepEqual(again.identity(), IDENTITY);
    assert.deepEqual([again.proposed(), again.blockLease()], ["second", { reclaimAfterMs: 5 }]);
    assert.deepEqual(again.snapshot(), { ...emptySnapshot("c"), revision: 3 });
    const names = readdirSync(directory).sort();
    assert.deepEqual(names, ["certificate.json", "identity.json", "proposal.json", "snapshot.json", "standing.json"]);
    for (const name of names) assert.equal(statSync(join(directory, name)).mode & 0o777, 0o600, name);
  });

  test("a credential is proposed once, and is the one that the host has, if the proposal was lost", () => {
    assert.equal(
      open().proposal(() => "made"),
      "made",
    );
    assert.equal(
      open().proposal(() => "another"),
      "made",
    );
    assert.equal(open().proposed(), "made");
    rmSync(join(directory, "proposal.json"));
    open().saveIdentity(IDENTITY);
    assert.equal(
      open().proposal(() => "another"),
      "first",
    );
    assert.equal(open().proposed(), undefined);
  });

  test("a next credential is the one that was proposed and never answered, else a new one", () => {
    const next = (...refused: readonly string[]) => open().nextProposal(() => "new", new Set(refused));
    assert.equal(next(), "new", "nothing was proposed");
    const cases: readonly (readonly [proposed: string, key: string | undefined, refused: readonly string[], string])[] =
      [
        ["kept", undefined, [], "kept"],
        ["kept", "first", ["other"], "kept"],
        ["kept", "first", ["kept"], "new"],
        ["kept", undefined, ["kept"], "new"],
        ["kept", "kept", [], "new"],
      ];
    for (const [proposed, key, refused, expected] of cases) {
      rmSync(directory, { recursive: true });
      open().nextProposal(() => proposed, new Set());
      if (key !== undefined) open().saveIdentity({ ...IDENTITY, key });
      assert.equal(next(...refused), expected, JSON.stringify([proposed, key, refused]));
      assert.equal(open().proposed(), expected);
    }
  });

  test("a file that says something else than what it should is damaged, put aside, and told", () => {
    const fault = { reason: "host-reclaimed", detail: { what: "w", fix: "f" } };
    const wrong: Readonly<Record<string, readonly unknown[]>> = {
      "identity.json": [
        3,
        null,
        [],
        "x",
        { host: "h", cluster: "c" },
        { ...IDENTITY, key: "" },
        { ...IDENTITY, host: 3 },
      ],
      "proposal.json": [3, {}, [], { key: 3 }, { key: "" }],
      "certificate.json": [3, {}, { certificate: "c" }, { certificate: "", ca: "b" }, { certificate: "c", ca: 3 }],
      "standing.json": [
        3,
        [],
        { other: 1 },
        { reclaimAfterMs: "5" },
        { isUnsure: false },
        { ended: 3 },
        { ended: { reason: "host-reclaimed" } },
        { ended: { detail: fault.detail } },
        { ended: { ...fault, detail: 3 } },
        { ended: { ...fault, reason: "" } },
      ],
      "snapshot.json": [
        3,
        {},
        { cluster: "c" },
        { cluster: "", revision: 1 },
        { cluster: "c", revision: "1" },
        { cluster: "c", revision: 1, networks: {} },
        { cluster: "c", revision: 1, networks: [null] },
        { cluster: "c", revision: 1, endpoints: [{ kind: "endpoint", name: "web.eth0" }] },
      ],
    };
    for (const [name, values] of Object.entries(wrong))
      for (const value of values) {
        const disk = open();
        const text = JSON.stringify(value);
        writeFileSync(join(directory, name), text);
        assert.equal(disk.certificate(), undefined);
        const read = [disk.identity(), disk.proposed(), disk.blockLease(), disk.snapshot()];
        const unsure = name === "standing.json" ? { isUnsure: true } : undefined;
        assert.deepEqual(read, [undefined, undefined, unsure, undefined], `${name}: ${text}`);
        assert.equal(disk.troubles().length, 1, `${name}: ${text}`);
        assert.match(disk.troubles()[0] ?? "", new RegExp(`${name} was damaged .* put aside as ${name}\\.damaged$`));
        assert.equal(readFileSync(join(directory, `${name}.damaged`), "utf8"), text);
        assert.deepEqual(disk.blockLease(), unsure, "also when it is asked again");
        rmSync(directory, { recursive: true });
      }
  });

  test("what an earlier version wrote, without a checksum and without what it did not know, is whole", () => {
    const right: Readonly<Record<string, unknown>> = {
      "identity.json": IDENTITY,
      "proposal.json": { key: "t" },
      "certificate.json": { certificate: "c", ca: "b" },
      "standing.json": { ended: { reason: "host-reclaimed", detail: { what: "w", fix: "f" } }, isUnsure: true },
      "snapshot.json": { cluster: "c", revision: 4, networks: [], history: "x" },
    };
    const disk = open();
    for (const [name, value] of Object.entries(right)) writeFileSync(join(directory, name), JSON.stringify(value));
    assert.deepEqual([disk.identity(), disk.proposed(), disk.blockLease()], [IDENTITY, "t", right["standing.json"]]);
    assert.deepEqual(disk.certificate(), right["certificate.json"]);
    assert.deepEqual(disk.snapshot(), { ...emptySnapshot("c"), ...(right["snapshot.json"] as object) });
    assert.deepEqual(disk.troubles(), []);
  });

  test("a save that was refused is told until one of the same file is taken", async () => {
    const files = new FaultyFiles();
    const disk = openDisk(directory, files);
    Object.assign(files, { fault: "full", room: 0 });
    assert.throws(() => disk.saveIdentity(IDENTITY), { reason: "unavailable" });
    await assert.rejects(disk.saveSnapshot(emptySnapshot("c")), { reason: "unavailable" });
    assert.throws(() => disk.proposal(() => "made"), { reason: "unavailable" });
    assert.equal(disk.proposed(), undefined);
    assert.deepEqual(disk.troubles().length, 3);
    files.fault = undefined;
    disk.saveIdentity(IDENTITY);
    assert.deepEqual(disk.troubles().length, 2);
    await disk.saveSnapshot(emptySnapshot("c"));
    assert.deepEqual(disk.troubles().length, 1);
    disk.nextProposal(() => "made", new Set());
    assert.deepEqual(disk.troubles(), []);
  });
});
