// Files that are broken, hostile or not meant: readers end soon, name lines, and never fail in another way.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type SourceFormat, SOURCES, WRITERS, readPlan } from "../../../src/formats/formats.ts";
import { isMatch } from "../../../src/formats/pattern.ts";
import { newReading, problem, remarkText, throwProblems } from "../../../src/formats/reading.ts";
import { Fault } from "../../../src/model/fault.ts";
import { anyPlan } from "./anyPlan.ts";
import { asFolder, memoryFiles, read } from "./memoryFiles.ts";

const FORMATS = Object.keys(SOURCES) as readonly SourceFormat[];
const NAMES = { ifupdown: "/x/interfaces", netplan: "/x/a.yaml", networkd: "/x/a.netdev" } as const;

/** Words of the formats among any text. */
const word = fc.oneof(
  fc.constantFrom(
    ..."iface auto source mapping address up pre-up ip link add type vxlan id group bridge_ports [NetDev] [VXLAN] Name="
      .concat(
        " Kind=vxlan network: bridges: tunnels: {mode: vxlan} - & * \\ || true $IFACE \u001b[31m \u202e __proto__",
      )
      .concat(" constructor toString hasOwnProperty 239.0.0.1 10.0.0.1/8 ../../etc/* /x/interfaces eth0")
      .split(" "),
  ),
  fc.string({ maxLength: 20 }),
);
const anyText = fc
  .array(fc.tuple(word, fc.constantFrom(" ", "\n", "\n  ", "=", "\\\n")), { maxLength: 60 })
  .map((parts) => parts.flat().join(""));

test("any text: notes and problems, each one clean line, or one Fault", () => {
  for (const format of FORMATS)
    fc.assert(
      fc.property(anyText, (text) => {
        try {
          const { notes, problems } = read(format, { [NAMES[format]]: text });
          for (const line of [...notes, ...problems])
            assert.ok(!/[\u0000-\u001f\u202e]/.test(line) && line.length < 300, JSON.stringify(line));
        } catch (error) {
          // A file that is not there.
          assert.ok(error instanceof Fault || String(error).startsWith("Error: no file "), String(error));
        }
      }),
      { numRuns: 500 },
    );
});

test("written files with lines lost, doubled and torn are read without another failure", () => {
  for (const format of FORMATS)
    fc.assert(
      fc.property(anyPlan, fc.infiniteStream(fc.nat(9)), (plan, luck) => {
        const { files } = WRITERS[format]({ plan, name: "x", header: [] });
        const torn = files.map(({ path, text }) => ({
          path,
          text: text
            .split("\n")
            .flatMap((line) => {
              const n = luck.next().value;
              return n === 0 ? [] : n === 1 ? [line, line] : n === 2 ? [line.slice(0, line.length / 2)] : [line];
            })
            .join("\n"),
        }));
        read(format, asFolder(torn), ["/x"]);
      }),
      { numRuns: 100 },
    );
});

test("bounds: files, characters, devices, patterns", () => {
  const refused = (texts: Readonly<Record<string, string>>, paths: readonly string[]) => {
    try {
      readPlan("ifupdown", memoryFiles(texts), paths);
    } catch (error) {
      return error instanceof Fault ? error.message : assert.fail(String(error));
    }
    return assert.fail("it was read");
  };
  assert.match(refused({ "/a": "x".repeat(4_194_305) }, ["/a"]), /more than 4194304 characters are read/);
  assert.match(refused({ "/a": "\0" }, ["/a"]), /zero bytes/);
  const many = Object.fromEntries(Array.from({ length: 1001 }, (_, i) => [`/d/f${i}`, ""]));
  assert.match(refused(many, ["/d"]), /more than 1000 files are read/);
  // Each file includes all the others: what is read ends at the same bound.
  const circle = Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`/d/f${i}`, "source /d/*\n"]));
  assert.match(refused(circle, ["/d"]), /more than 1000 files are read/);
  const devices = Array.from({ length: 4097 }, (_, i) => `iface d${i} inet manual\n`).join("");
  assert.deepEqual(read("ifupdown", { "/a": devices }).problems, ["/a:4097: d4096: there are more than 4096 devices"]);
  assert.equal(isMatch(`${"*a".repeat(1000)}b`, "a".repeat(10_000)), false);
  assert.equal(isMatch("eth?.*0", "eth1.100"), true);
  assert.equal(isMatch("a[bc]", "ab"), false);
});

test("all problems are one refusal with every line", () => {
  const reading = newReading();
  throwProblems(reading);
  problem(reading, { file: "a", line: 1 }, "one  thing\n", "why");
  assert.throws(() => throwProblems(reading), /^Fault: one thing: why \(at a:1\); correct it; nothing was changed$/);
  problem(reading, { file: "b", line: 2 }, "x".repeat(200), "why");
  assert.throws(() => throwProblems(reading), /the files have 2 problems \[a:1: one thing: why, b:2: x{120}…: why\]/);
  assert.equal(reading.problems.map(remarkText).length, 2);
});
