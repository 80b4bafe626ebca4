// Builds the server and runs it until it is told to stop: the store on disk, the control plane over it, and the API in
// front, on TCP for agents and on a unix socket for root on this machine.
import { createServer, type IncomingMessage, type RequestListener, type Server } from "node:http";
import { join } from "node:path";
import { makeDirectory } from "../files/directories.ts";
import { listenPrivately, makeWay } from "../client/socket.ts";
import { dcosRoutes } from "../ancestors/dcos/routes.ts";
import { createApi } from "../api/api.ts";
import { createMetrics, type Metrics } from "../api/metrics.ts";
import type { Flags } from "../cli/context.ts";
import { settingsOf, wordsOf } from "../cli/input/settings.ts";
import { ownVersion } from "../cli/program/version.ts";
import { Control } from "../control/control.ts";
import { realFiles } from "../files/real.ts";
import { defined } from "../model/defined.ts";
import { Fault } from "../model/fault.ts";
import * as certifier from "../tls/certifier.ts";
import { groupBaseOf } from "../model/multicast.ts";
import type { OidcLogin } from "../model/oidc.ts";
import { openSqliteStore } from "../store/sqlite.ts";
import { AUDIT_SETTINGS, auditBoundsFrom, keepAuditOn } from "./audit.ts";
import { CONNECTION_BOUNDS, timesOf } from "./connections.ts";
import { cannotListen, listenAddress, optimizeEarly, type Surroundings } from "./surroundings.ts";
import { LIVENESS_SETTINGS, livenessFrom, reclaimLostOn } from "./reclaim.ts";
import { type GivenFiles, TlsListener, lifeFrom } from "./tlsListener.ts";
import { OIDC_SETTINGS, oidcFrom } from "./oidc.ts";
import { keepingJoinToken, syncToken } from "./tokens.ts";

const SETTINGS = [
  "listen",
  "data-dir",
  "socket",
  "new-network-groups",
  "multicast-base",
  "tls-cert",
  "tls-key",
  "certificate-life",
  ...OIDC_SETTINGS,
  ...LIVENESS_SETTINGS,
  ...AUDIT_SETTINGS,
] as const;
const DEFAULTS = {
  listen: "127.0.0.1:7474",
  "data-dir": "/var/lib/weft/server",
  socket: "/run/weft/server.sock",
};

export async function runServer(flags: Flags, world: Surroundings): Promise<number> {
  const settings = { ...DEFAULTS, ...(await settingsOf("server", SETTINGS, flags, world.env)) };
  const liveness = livenessFrom(settings);
  const audit = auditBoundsFrom(settings);
  const named = settings["new-network-groups"];
  const groups = named === undefined ? undefined : wordsOf(named, "--new-network-groups");
  const base = settings["multicast-base"];
  const groupBase = base === undefined ? undefined : groupBaseOf(wordsOf(base, "--multicast-base"), "--multicast-base");
  // Wrong settings are reported before a store and tokens are created.
  listenAddress(settings.listen, "--listen");
  const given = givenFiles(settings);
  const certificateLife = lifeFrom(settings);
  const oidc = await oidcFrom(settings, world.clock);
  optimizeEarly();
  const directory = settings["data-dir"];
  makeDataDirectory(directory);
  const store = openSqliteStore(join(directory, "weft.db"), { audit });
  const metrics = createMetrics();
  const control = await Control.open(store, {
    clock: world.clock,
    meter: metrics.meter,
    liveness,
    certifier,
    ...defined({ newNetworkGroups: groups, groupBase, certificateLife }),
  });
  try {
    const { authority } = control;
    if (authority === undefined) throw new Error("it was opened with a certifier");
    for (const role of ["admin", "join"] as const) {
      world.log("token", { role, ...(await syncToken(control, role, directory, realFiles)) });
    }
    const { host } = listenAddress(settings.listen, "--listen");
    const tls = await TlsListener.open({ ...world, authority, address: host, files: realFiles, ...defined({ given }) });
    const keepJoinToken = keepingJoinToken(control, directory, realFiles, world.log);
    authority.onChange(keepJoinToken);
    control.joinTokens.onEnded(keepJoinToken);
    await serve({ control, metrics, oidc, tls }, settings, world);
  } finally {
    await control.close();
    await store.close();
  }
  world.log("server stopped");
  return 0;
}

/** Answers on TCP and on the socket until the signal aborts. */
async function serve(parts: Served, { listen, socket }: typeof DEFAULTS, world: Surroundings) {
  const { control, metrics, oidc, tls } = parts;
  const { clock, signal, log } = world;
  const onError = (error: unknown) => log("internal error", { error: error instanceof Error ? error.stack : error });
  const local = new WeakSet<IncomingMessage>();
  const api = createApi(control, {
    clock,
    version: ownVersion(),
    metrics,
    oidc,
    routes: dcosRoutes(control),
    isLocal: (request) => local.has(request),
    listener: tls.serve,
    onError,
  });
  await api.ready();
  let locally: Server | undefined;
  const takeLocal: RequestListener = (request, response) => {
    local.add(request);
    api.routing(request, response);
  };
  try {
    await api.listen(listenAddress(listen, "--listen")).catch(cannotListen(listen));
    locally = socket === "none" ? undefined : await listenLocally(socket, takeLocal);
    const pin = control.authority?.pin;
    log("server started", { cluster: control.cluster, revision: control.revision, listen, socket, pin });
    const loops = [reclaimLostOn(control, world), control.tendOn(signal), keepAuditOn(control, world), tls.run(signal)];
    await Promise.all([aborted(signal), ...loops]);
  } finally {
    const closed = api.close();
    locally?.close();
    locally?.closeAllConnections();
    await closed;
  }
}

type Served = {
  readonly control: Control;
  readonly metrics: Metrics;
  readonly oidc: OidcLogin | undefined;
  readonly tls: TlsListener;
};

/** Both or none. */
function givenFiles(settings: { readonly "tls-cert"?: string; readonly "tls-key"?: string }): GivenFiles | undefined {
  const { "tls-cert": cert, "tls-key": key } = settings;
  if (cert !== undefined && key !== undefined) return { cert, key };
  if (cert === undefined && key === undefined) return undefined;
  const where = cert === undefined ? "--tls-cert" : "--tls-key";
  const what = "a certificate is of no use without its key, and a key without its certificate";
  throw new Fault("request-invalid", { what, where, fix: `give ${where}, too` });
}

function makeDataDirectory(directory: string): void {
  try {
    makeDirectory(directory, 0o700);
  } catch (cause) {
    const fix = "give --data-dir a directory that can be created, or run it as root";
    throw new Fault(
      "forbidden",
      { what: "cannot create the data directory", where: directory, why: String(cause), fix },
      { cause },
    );
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}

/** The same API on a unix socket that only root may open. A socket on which no process answers is left from a crash. */
async function listenLocally(path: string, handler: RequestListener): Promise<Server> {
  await makeWay(path, "server");
  const server = createServer(timesOf(CONNECTION_BOUNDS), handler);
  await listenPrivately(server, path).catch(cannotListen(path));
  return server;
}
