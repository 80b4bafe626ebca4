// For tests: an API over a control plane in memory, and what they ask it.
import assert from "node:assert/strict";
import type { FastifyInstance } from "fastify";
import Schema from "typebox/schema";
import type { Clock } from "../../../src/model/clock.ts";
import { REASONS } from "../../../src/model/fault.ts";
import { openMemoryStore } from "../../../src/store/memory.ts";
import { Control, type ControlOptions } from "../../../src/control/control.ts";
import { reportOf } from "../control/lab.ts";
import { createApi } from "../../../src/api/api.ts";
import { createMetrics } from "../../../src/api/metrics.ts";
import type { Route } from "../../../src/api/route.ts";
import { certificateOf, certifier, csrOf } from "./certificates.ts";
import { SCHEMAS, type SchemaName } from "../../../src/api/schemas.ts";

export const ADMIN = "admin-0123456789abcdef0123456789abcdef";
export const JOIN = "join-0123456789abcdef0123456789abcdef";
const clock: Clock = { nowMs: () => 1_000_000, monotonicMs: () => 1_000_000, sleep: () => new Promise<void>(() => {}) };
const apps: FastifyInstance[] = [];
/** For after(): of this file's tests. */
export const closeAll = () => Promise.all(apps.map((app) => app.close()));

export type Reply = {
  readonly status: number;
  readonly headers: Record<string, unknown>;
  readonly body: ReturnType<typeof JSON.parse>;
  readonly text: string;
};
export type Ask = {
  readonly token?: string | undefined;
  readonly headers?: Record<string, string>;
  readonly raw?: string;
};
type Api = {
  readonly app: FastifyInstance;
  readonly control: Control;
  readonly errors: unknown[];
  readonly ask: (method: string, url: string, body?: unknown, more?: Ask) => Promise<Reply>;
};

/** A server over a store in memory, asked without a connection. */
export async function open(
  extra: readonly Route[] | ((control: Control) => readonly Route[]) = [],
  more: Partial<ControlOptions> = {},
  store = openMemoryStore(),
): Promise<Api> {
  const metrics = createMetrics();
  const control = await Control.open(store, { clock, meter: metrics.meter, certifier, ...more });
  await control.setToken("admin", ADMIN);
  await control.setToken("join", JOIN);
  const errors: unknown[] = [];
  const routes = typeof extra === "function" ? extra(control) : extra;
  const onError = (error: unknown) => errors.push(error);
  const app = createApi(control, { clock, version: "1.2.3", metrics, routes, onError, certificateOf });
  let keys = 0;
  apps.push(app);
  return {
    app,
    control,
    errors,
    async ask(method, url, body, { token = ADMIN, headers = {}, raw } = {}) {
      // A host that joins asks for a certificate, of another key each time.
      const [, joins] = /^.v1.hosts.([^/]+).join$/.exec(url) ?? [];
      const csr = joins === undefined || token.startsWith("cert-") ? undefined : csrOf(joins, `key-${++keys}`);
      const asked = csr === undefined ? body : { csr, ...(body as object) };
      const payload = raw ?? (asked === undefined ? undefined : JSON.stringify(asked));
      const response = await app.inject({
        // Methods nobody has are asked for, too.
        method: method as "GET",
        url,
        headers: {
          ...(token === "" ? {} : { authorization: `Bearer ${token}` }),
          ...(payload === undefined ? {} : { "content-type": "application/json" }),
          ...headers,
        },
        ...(payload === undefined ? {} : { payload }),
      });
      const isJson = /[/+]json/.test(String(response.headers["content-type"]));
      return {
        status: response.statusCode,
        headers: response.headers,
        body: isJson ? response.json() : undefined,
        text: response.body,
      };
    },
  };
}

export const blue = { spec: { subnets: [{ cidr: "10.7.0.0/29" }] } };
export const claim = (n: number, more: object = {}) => ({
  underlay: `192.168.0.${n}`,
  underlayMtu: 1500,
  hostPrefixes: [],
  ...more,
});
export const web = { network: "blue", host: "h1", owner: "web", ifname: "eth0", netns: "/var/run/netns/web" };
export const report = reportOf("h1");

/** Polls until it is so. */
export async function until(what: string, probe: () => boolean): Promise<void> {
  const deadline = performance.now() + 10_000;
  while (!probe()) {
    assert.ok(performance.now() < deadline, `not in time: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

/** The answer is a problem as RFC 9457 has it, of this reason. */
export function isProblem(
  reply: Reply,
  reason: keyof typeof REASONS,
  text: RegExp,
  status: number = REASONS[reason].status,
): void {
  assert.equal(reply.body?.reason, reason, reply.text);
  assert.equal(reply.status, status);
  assert.match(String(reply.headers["content-type"]), /^application\/problem\+json/);
  assert.match(reply.body.detail, text);
  assert.equal(reply.body.type, `urn:weft:problem:${reason}`);
  assert.equal(reply.body.status, status);
  fits("Problem", reply.body);
}

/** The value is what the schema of this name describes. */
export function fits(schema: SchemaName, value: unknown): void {
  const [isFit, errors] = Schema.Errors(SCHEMAS[schema], value);
  assert.ok(isFit, `${schema}: ${JSON.stringify(errors)}`);
}
