// What a control plane is made of, put together over a store and a view of it.
import { randomBytes, randomUUID } from "node:crypto";
import type { Clock } from "../model/clock.ts";
import { defined } from "../model/defined.ts";
import type { GroupBase } from "../model/multicast.ts";
import type { QuarantineTime } from "../model/quarantine.ts";
import type { Store } from "../store/store.ts";
import { WINDOW_CHANGES } from "../store/window.ts";
import { recordedCaller } from "./audit/entry.ts";
import { AuditTrail } from "./audit/trail.ts";
import { Inquiry } from "./check/inquiry.ts";
import { Committer, type Job, type Meter, askedIn } from "./commit/committer.ts";
import { quarantineClock } from "./commit/expire.ts";
import { Histories } from "./commit/histories.ts";
import type { Certifier } from "../tls/certifier.ts";
import { Authority, type CertificateLife } from "./hosts/authority.ts";
import { Boots } from "./hosts/boots.ts";
import { Credentials } from "./hosts/credentials.ts";
import { HostLifecycle } from "./hosts/hostLifecycle.ts";
import { JoinTokens } from "./hosts/joinTokens.ts";
import { LIVENESS, type LivenessSettings, checkLiveness } from "./hosts/liveness.ts";
import { Prefixes } from "./hosts/prefixes.ts";
import { type LoginOptions, Logins } from "./logins/logins.ts";
import { Forecast } from "./report/forecast.ts";
import { type View, viewOf } from "./state/view.ts";

/** The source of randomness: uids of resources, and tokens that cannot be guessed. */
type Entropy = { uid(): string; token(): string };

export type ControlOptions = {
  readonly clock: Clock;
  readonly entropy?: Entropy;
  readonly meter?: Meter;
  readonly newNetworkGroups?: readonly string[] /** Of new networks that name none. Default: none. */;
  readonly groupBase?: GroupBase /** Of multicast groups that follow from VNIs. Default: GROUP_BASE. */;
  /** Changes that a watching host may be behind before it has to list again. Default: WINDOW_CHANGES. */
  readonly history?: number;
  /** What a password costs, and how long a login lasts. */
  readonly logins?: LoginOptions;
  /** When a host is suspect, lost, and given up. */
  readonly liveness?: LivenessSettings;
  /** What makes certificates; without it there is no CA. */
  readonly certifier?: Certifier;
  readonly certificateLife?: CertificateLife;
  /** When to commit what has been asked for: by default after everything that this turn of the event loop brings. */
  readonly turn?: (run: () => void) => void;
  /** When hosts that watch hear of it: by default 5 ms later, so that the writer continues first. */
  readonly later?: (run: () => void) => void;
};

export type Parts = {
  readonly store: Store;
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly meter: Meter;
  readonly committer: Committer;
  readonly audit: AuditTrail;
  readonly credentials: Credentials;
  readonly joinTokens: JoinTokens;
  readonly logins: Logins;
  readonly prefixes: Prefixes;
  readonly inquiry: Inquiry;
  readonly forecast: Forecast;
  readonly liveness: LivenessSettings;
  readonly lifecycle: HostLifecycle;
  readonly boots: Boots;
  readonly histories: Histories;
  readonly authority?: Authority;
  readonly quarantineTime: () => QuarantineTime;
};

const SYSTEM_ENTROPY: Entropy = { uid: () => randomUUID(), token: () => randomBytes(32).toString("base64url") };
const NO_METER: Meter = { committed: () => {}, converged: () => {} };
// oxlint-disable-next-line no-restricted-globals -- not time but order: the end of this turn of the event loop
const END_OF_TURN = (run: () => void): void => void setImmediate(run);
// oxlint-disable-next-line no-restricted-globals -- nothing depends on the time: after those who are served first
const SOON = (run: () => void): void => void setTimeout(run, 5);

/** Reads the store. */
export async function assemble(store: Store, options: ControlOptions): Promise<Parts> {
  const authority = await authorityOf(store, options);
  const { cluster, revision, resources } = await store.read();
  const parts = partsOf(store, viewOf(cluster, revision, resources), { ...options, ...defined({ authority }) });
  authority?.serve(parts.committer);
  await parts.histories.begin();
  return parts;
}

async function authorityOf(store: Store, options: ControlOptions): Promise<Authority | undefined> {
  const { certifier, certificateLife: life, clock } = options;
  return certifier === undefined ? undefined : Authority.open(store, { certifier, clock, ...defined({ life }) });
}

type Made = ControlOptions & { readonly authority?: Authority };

function partsOf(store: Store, view: View, options: Made): Parts {
  const { clock, entropy = SYSTEM_ENTROPY, meter = NO_METER, authority } = options;
  const hosts = [...view.host.keys()];
  const prefixes = new Prefixes(store, hosts);
  const quarantineTime = quarantineClock(clock, view);
  const liveness = checkLiveness(options.liveness ?? LIVENESS);
  const lifecycle = new HostLifecycle(store, liveness, clock);
  const histories = new Histories(store, clock, (host) => lifecycle.reports.sighted(host));
  const turn = options.turn ?? END_OF_TURN;
  const audit = new AuditTrail(store, { clock, turn: END_OF_TURN, submit: (job) => committer.submit(job) });
  const committer: Committer = new Committer(store, view, {
    refused: recordRefusals(audit),
    histories,
    clock,
    context: {
      uid: () => entropy.uid(),
      nowMs: () => clock.nowMs(),
      quarantineTime,
      prefixes: prefixes.byHost,
      ...defined({ newNetworkGroups: options.newNetworkGroups, groupBase: options.groupBase }),
    },
    meter,
    turn,
    later: options.later ?? SOON,
    history: options.history ?? WINDOW_CHANGES,
  });
  const joinTokens = new JoinTokens({ store, committer, clock, random: () => entropy.token(), authority });
  return {
    ...defined({ authority }),
    joinTokens,
    store,
    clock,
    entropy,
    meter,
    committer,
    audit,
    prefixes,
    quarantineTime,
    liveness,
    lifecycle,
    histories,
    boots: new Boots(store, clock, lifecycle.reports, liveness),
    credentials: new Credentials(store, lifecycle.departures, joinTokens, hosts),
    logins: new Logins({ store, committer, clock, random: () => entropy.token(), ...options.logins }),
    forecast: new Forecast(),
    inquiry: new Inquiry(clock, (asks) => committer.followers.ask(asks)),
  };
}

/**
 * What is refused to the server's own writes concerns nobody. To a dry run it is recorded: rights could be tried out
 * unseen.
 */
function recordRefusals(audit: AuditTrail): (job: Job, error: unknown) => void {
  return (job, error) => {
    const { caller, dryRun = false } = job;
    if (caller === undefined || caller.credential === "server") audit.ignore(error);
    else audit.refused(recordedCaller(caller), { ...askedIn(job), isDry: dryRun }, error);
  };
}
