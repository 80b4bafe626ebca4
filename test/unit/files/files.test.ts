// The calls by which a file is replaced, in order; a disk that fails at any one of them; and what is said of it.
import assert from "node:assert/strict";
import {
  existsSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { afterEach, beforeEach, describe, test } from "node:test";
import {
  attempt,
  attemptOf,
  type Files,
  filesWhile,
  notWritten,
  replacedFile,
  replaceFile,
  replaceFileLater,
  writeAll,
} from "../../../src/files/files.ts";
import { realFiles } from "../../../src/files/real.ts";
import { Fault } from "../../../src/model/fault.ts";

let folder = "";
let path = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "weft-files-"));
  path = join(folder, "file");
});
afterEach(() => rmSync(folder, { recursive: true }));

/** Real files that write their calls down; the call of number `failing` fails. Writes take four bytes at most. */
class Recorded {
  readonly calls: string[] = [];
  /** What is open, by its descriptor. */
  readonly opened = new Map<number, string>();
  readonly files: Files;
  readonly #failing: number;

  constructor(failing = -1) {
    this.#failing = failing;
    const of = (fd: number) => this.opened.get(fd) ?? "closed";
    const short = (name: string) => (name === folder ? "folder" : name.slice(folder.length + 1));
    this.files = {
      ...realFiles,
      open: (name, flags, mode) => {
        this.#note(`open ${short(name)} ${flags} ${mode.toString(8)}`);
        const fd = realFiles.open(name, flags, mode);
        this.opened.set(fd, short(name));
        return fd;
      },
      write: (fd, bytes, from) => {
        this.#note(`write ${of(fd)} ${from}`);
        return realFiles.write(fd, bytes.subarray(0, from + 4), from);
      },
      sync: (fd) => {
        this.#note(`sync ${of(fd)}`);
        realFiles.sync(fd);
      },
      syncLater: async (fd) => {
        // What does not wait for the disk comes before it.
        await setImmediate();
        await setImmediate();
        this.#note(`sync ${of(fd)}`);
        await realFiles.syncLater(fd);
      },
      rename: (from, to) => {
        this.#note(`rename ${short(from)} ${short(to)}`);
        realFiles.rename(from, to);
      },
      remove: (name) => {
        this.#note(`remove ${short(name)}`);
        realFiles.remove(name);
      },
      close: (fd) => {
        this.calls.push(`close ${of(fd)}`);
        assert(this.opened.delete(fd), "closed twice");
        realFiles.close(fd);
      },
    };
  }

  #note(call: string): void {
    this.calls.push(call);
    if (this.calls.length - 1 === this.#failing) throw Object.assign(new Error(`EIO: ${call}`), { code: "EIO" });
  }
}

const WAYS = {
  replaceFile,
  replaceFileLater,
  "replacedFile, closed": (files: Files, to: string, text: string, mode?: number) =>
    files.close(mode === undefined ? replacedFile(files, to, text) : replacedFile(files, to, text, mode)),
};
const steps = (mode: string) => [
  "remove file.next",
  `open file.next ax ${mode}`,
  "write file.next 0",
  "write file.next 4",
  "sync file.next",
  "rename file.next file",
  "open folder r 0",
  "sync folder",
  "close folder",
  "close file.next",
];

for (const [name, replace] of Object.entries(WAYS))
  describe(name, () => {
    test("the bytes are on the disk before the file has its name, and then the name is", async () => {
      const plain = new Recorded();
      await replace(plain.files, path, "öne\nt");
      assert.deepEqual(plain.calls, steps("600"));
      assert.equal(readFileSync(path, "utf8"), "öne\nt");
      const shared = new Recorded();
      writeFileSync(`${path}.next`, "left by a process that was killed");
      await replace(shared.files, path, "other", 0o644);
      assert.deepEqual(shared.calls, steps("644"));
      assert.equal(readFileSync(path, "utf8"), "other");
      assert.deepEqual(readdirSync(folder), ["file"]);
    });

    test("at whichever call the disk fails, the file is the old one and this throws, or is the new one", async () => {
      const named = steps("600").findIndex((step) => step.startsWith("rename"));
      for (const [at, step] of steps("600").entries()) {
        if (step.startsWith("close")) continue;
        writeFileSync(path, "old");
        const disk = new Recorded(at);
        const replaced = (async () => replace(disk.files, path, "newer"))();
        if (at <= named) await assert.rejects(replaced, { message: `EIO: ${step}` });
        else await replaced;
        assert.equal(readFileSync(path, "utf8"), at <= named ? "old" : "newer", step);
        assert.deepEqual(readdirSync(folder), ["file"], step);
        assert.equal(disk.opened.size, 0, step);
      }
    });
  });

test("what cannot be put away hides no refusal", async () => {
  for (const replace of Object.values(WAYS)) {
    const files: Files = {
      ...realFiles,
      write: () => assert.fail("EIO: write"),
      remove: (name) => {
        if (existsSync(name)) assert.fail("EIO: remove");
      },
    };
    await assert.rejects(async () => replace(files, path, "text"), /EIO: write/);
    assert(existsSync(`${path}.next`));
    rmSync(`${path}.next`);
  }
});

test("a replaced file is open at its end", () => {
  const fd = replacedFile(realFiles, path, "one\n");
  writeAll(realFiles, fd, Buffer.from("two\n"));
  assert.equal(readFileSync(path, "utf8"), "one\ntwo\n");
  assert(realFiles.leads(path, fd));
  realFiles.close(fd);
});

test("a write goes on where the disk stopped, and a disk that takes nothing is full", () => {
  const written: string[] = [];
  const taking = (...amounts: number[]): Files => ({
    ...realFiles,
    write: (fd, bytes, from) => {
      const taken = amounts.shift() ?? assert.fail("it asks on and on");
      written.push(`${fd} ${Buffer.from(bytes.subarray(from, from + taken)).toString()}`);
      return taken;
    },
  });
  writeAll(taking(3, 1, 2), 7, Buffer.from("abcdef"));
  assert.deepEqual(written, ["7 abc", "7 d", "7 ef"]);
  writeAll(taking(), 7, Buffer.from(""));
  assert.throws(() => writeAll(taking(3, 0), 7, Buffer.from("abcdef")), { code: "ENOSPC", message: /took nothing/ });
});

test("a file leads where it did until its name is another file's, or no file's, or one on another disk", () => {
  writeFileSync(path, "");
  const fd = realFiles.open(path, "a", 0o600);
  assert.equal(realFiles.leads(path, fd), true);
  renameSync(path, `${path}.away`);
  assert.equal(realFiles.leads(path, fd), false);
  assert.equal(realFiles.leads(`${path}.away`, fd), true);
  writeFileSync(path, "");
  assert.equal(realFiles.leads(path, fd), false);
  realFiles.close(fd);
  // Both are number 1 of their file systems.
  const proc = openSync("/proc", "r");
  assert.equal(realFiles.leads("/proc", proc), true);
  assert.equal(realFiles.leads("/sys", proc), false);
  realFiles.close(proc);
});

test("the real file system: what is removed need not be there, what is there is told, and an open end is cut", () => {
  realFiles.remove(path);
  assert.equal(realFiles.exists(path), false);
  const fd = realFiles.open(path, "ax", 0o640);
  assert.equal(realFiles.write(fd, Buffer.from("0123456"), 2), 5);
  assert.deepEqual([realFiles.length(fd), realFiles.read(path), realFiles.exists(path)], [5, "23456", true]);
  realFiles.truncate(fd, 2);
  assert.deepEqual([realFiles.length(fd), realFiles.read(path)], [2, "23"]);
  realFiles.close(fd);
  assert.throws(() => realFiles.open(path, "ax", 0o640), { code: "EEXIST" });
  realFiles.remove(path);
  assert.equal(realFiles.exists(path), false);
});

test("in a directory that is not the one that was locked nothing is begun, and anything is read", () => {
  let isHeld = false;
  const files = filesWhile(realFiles, () => isHeld);
  for (const flags of ["ax", "a"] as const)
    assert.throws(() => files.open(path, flags, 0o600), { code: "ESTALE", message: /^ESTALE/ });
  assert.deepEqual(readdirSync(folder), []);
  writeFileSync(path, "text");
  files.close(files.open(path, "r", 0));
  assert.equal(files.read(path), "text");
  isHeld = true;
  files.close(files.open(`${path}2`, "ax", 0o600));
  assert.deepEqual(readdirSync(folder), ["file", "file2"]);
});

test("an attempt says whether it came to its end", () => {
  const fails = () => assert.fail("no");
  assert.deepEqual([attempt(() => undefined), attempt(fails)], [true, false]);
  assert.deepEqual([attemptOf(() => 3), attemptOf(fails)], [3, undefined]);
});

describe("what is said of a write that the disk refused", () => {
  test("a refusal that says what to do is told as it is", () => {
    const fault = new Fault("unavailable", { what: "the directory is gone", fix: "put it back" });
    assert.equal(notWritten("/a", fault), fault);
  });

  test("what, where, why, and for each error what to do", () => {
    const told = (cause: unknown) => {
      const fault = notWritten("/a", cause);
      assert.deepEqual([fault.reason, fault.detail.where, fault.cause], ["unavailable", "/a", cause]);
      return [fault.detail.why, fault.detail.fix];
    };
    const codes = {
      ENOSPC: /free some space/,
      EDQUOT: /raise the quota/,
      EROFS: /mount it for writing/,
      EIO: /the disk fails/,
      ESTALE: /put back.*or start the agent again/,
      ENOENT: /can be written, then try again/,
    };
    for (const [code, fix] of Object.entries(codes)) {
      const [why, advice] = told(Object.assign(new Error(`${code}: it`), { code }));
      assert.equal(why, `${code}: it`);
      assert.match(advice ?? "", fix);
    }
    assert.match(told(new Error("odd")).join(), /^odd,see to it/);
    assert.match(told("a text").join(), /^a text,see to it/);
  });
});
