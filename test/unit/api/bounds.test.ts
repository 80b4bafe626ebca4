// How large requests and resources can be: every text and list of every kind and request has an end, and what is beyond
// it is refused without looking at the rest.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { SCHEMAS, type SchemaName } from "../../../src/api/schemas.ts";
import { Fault } from "../../../src/model/fault.ts";
import { ALL_KINDS, WRITABLE_KINDS, putOf, recordOf } from "../../../src/model/kinds.ts";
import { parseApply, parsePut, parseReserve } from "../../../src/model/parse.ts";
import { AttachRequest } from "../../../src/model/status.ts";
import { ADMIN, closeAll, open } from "./lab.ts";

after(closeAll);

/** What hosts say is cut where it is parsed, because a host that is refused would count as lost. */
const CUT: readonly RegExp[] = [/^(HostReport|InventoryAnswer)/, /^MoveReport\.reason$/, /^JoinRequest\.hostPrefixes$/];

type Node = { readonly [name: string]: unknown };

/** Paths of texts, lists and maps in a schema that may be of any size. */
function unbounded(schema: Node, path: string): string[] {
  if (CUT.some((each) => each.test(path))) return [];
  const parts = (name: string) => (schema[name] ?? {}) as Readonly<Record<string, Node>>;
  const wrong = (needs: string) => (schema[needs] === undefined ? [path] : []);
  const inside = [
    ...Object.entries(parts("properties")).flatMap(([name, part]) => unbounded(part, `${path}.${name}`)),
    ...Object.values(parts("patternProperties")).flatMap((part) => unbounded(part, `${path}.*`)),
    ...((schema["anyOf"] ?? []) as readonly Node[]).flatMap((form) => unbounded(form, path)),
    ...(schema["items"] === undefined ? [] : unbounded(schema["items"] as Node, `${path}[]`)),
  ];
  if (schema["type"] === "array") return [...wrong("maxItems"), ...inside];
  if (schema["patternProperties"] !== undefined) return [...wrong("maxProperties"), ...inside];
  if (schema["type"] === "object" && schema["additionalProperties"] !== false) return [path, ...inside];
  // What a pattern without repetition takes has an end, too.
  const pattern = schema["pattern"];
  const isShort = typeof pattern === "string" && !/[*+]|,\}/.test(pattern);
  return schema["type"] === "string" && schema["const"] === undefined && !isShort ? wrong("maxLength") : inside;
}

test("every text and list of every kind has an end", () => {
  const kinds = ALL_KINDS.flatMap((kind) => unbounded(recordOf(kind).spec as unknown as Node, kind));
  const inputs = WRITABLE_KINDS.flatMap((kind) => unbounded(putOf(kind).input as unknown as Node, `put ${kind}`));
  assert.deepEqual([...kinds, ...inputs], []);
});

test("every text and list of every request has an end", async () => {
  const { ask } = await open();
  const document = (await ask("GET", "/openapi.json", { token: ADMIN })).body as {
    readonly paths: Readonly<Record<string, Readonly<Record<string, { readonly requestBody?: unknown }>>>>;
  };
  const named = Object.values(document.paths)
    .flatMap((methods) => Object.values(methods))
    .flatMap(({ requestBody }) => /schemas\/(\w+)/.exec(JSON.stringify(requestBody ?? ""))?.[1] ?? []);
  assert.ok(named.length > 30, String(named.length));
  const requests = [...new Set(named)].map((name) => unbounded(SCHEMAS[name as SchemaName] as unknown as Node, name));
  assert.deepEqual([...requests.flat(), ...unbounded(AttachRequest as unknown as Node, "AttachRequest")], []);
});

/** A list that counts how many of its items are looked at. */
function counted(length: number, item: unknown) {
  const seen = { items: 0 };
  const list = new Proxy(new Array<unknown>(length), {
    get(target, name) {
      if (name === "length") return length;
      if (typeof name === "string" && /^\d+$/.test(name)) {
        seen.items++;
        return item;
      }
      return Reflect.get(target, name) as unknown;
    },
  });
  return { list, seen };
}

test("of a list that is too long no more is looked at than may be in it", () => {
  const restricted = counted(1_000_000, 5);
  assert.throws(
    () => parsePut("template", { spec: { network: {}, restricted: restricted.list } }),
    (error) => {
      assert.ok(error instanceof Fault);
      assert.equal(error.detail.what, "spec.restricted: it has 1,000,000 items, and may have 256");
      assert.equal(error.detail.where, "spec.restricted");
      return true;
    },
  );
  assert.ok(restricted.seen.items <= 256, String(restricted.seen.items));
  const kinds = counted(1_000_000, "network");
  const rule = { subject: { all: true }, resource: { kinds: kinds.list, all: true }, rights: ["use"] };
  assert.throws(() => parsePut("aclrule", { spec: rule }), /spec.resource.kinds: it has 1,000,000 items/);
  assert.ok(kinds.seen.items <= 32, String(kinds.seen.items));
});

test("what is too large says where, how large it is and may be", () => {
  const description = "x".repeat(1025);
  const subnets = [{ cidr: "10.1.0.0/16" }];
  const says = (text: string, parse: () => unknown) =>
    assert.throws(parse, (error) => {
      assert.ok(error instanceof Fault);
      assert.equal(error.reason, "request-invalid");
      assert.equal(error.detail.what, text);
      return true;
    });
  const long = "it has 1,025 characters, and may have 1,024";
  says(`spec.description: ${long}`, () => parsePut("network", { spec: { subnets, description } }));
  says(`resources[0].spec.description: ${long}`, () =>
    parseApply({ resources: ["a", "b"].map((name) => ({ kind: "user", name, spec: { group: "g", description } })) }),
  );
  const quotas = Array.from({ length: 10_000 }, (_, i) => ({ tenant: `t${i}`, leases: 1 }));
  says("spec.quotas: it has 10,000 items, and may have 1,024", () =>
    parsePut("network", { spec: { subnets, quotas } }),
  );
  const other = Object.fromEntries(Array.from({ length: 5000 }, (_, i) => [`k${i}`, 1]));
  says("body: it has 5,002 fields, and may have 5", () => parseReserve({ name: "a", size: 1, ...other }));
  const labels = Object.fromEntries(Array.from({ length: 5000 }, (_, i) => [`k${i}`, ""]));
  says("spec.labels: it has 5,000 fields, and may have 64", () => parsePut("network", { spec: { subnets, labels } }));
  // As many as there may be are taken.
  parsePut("network", { spec: { subnets, description: "x".repeat(1024), quotas: quotas.slice(0, 1024) } });
});
