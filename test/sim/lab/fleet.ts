// Many hosts and their server, as far as certificates go: real sessions and mirrors, without kernels, over lines with
// TLS. Disks survive crashes: the store, and of each host its key, certificate and copy of the join token.
import assert from "node:assert/strict";
import { Session } from "../../../src/agent/server/session.ts";
import { BlockLease } from "../../../src/agent/journal/blockLease.ts";
import { callerOf, shownAs } from "../../../src/api/shown.ts";
import { Mirror } from "../../../src/client/mirror.ts";
import { Control } from "../../../src/control/control.ts";
import type { CertificateLife } from "../../../src/control/hosts/authority.ts";
import { SERVER } from "../../../src/control/write.ts";
import { Fault } from "../../../src/model/fault.ts";
import { openMemoryStore } from "../../../src/store/memory.ts";
import { textCertifier, textKeys } from "./certifier.ts";
import { VirtualClock, WallClock } from "./clock.ts";
import { JOIN_TOKEN } from "./host.ts";
import { lineOf, type Party, type Wire } from "./line.ts";
import { credentialOn, joinTokenFile, serveTls, type TlsDisk, TlsLine, type TlsServer } from "./tls.ts";

/** A host: its disk, its clock, and its agent while that runs. */
export type Member = Party & {
  readonly disk: TlsDisk;
  readonly wall: WallClock;
  readonly underlay: string;
  line: TlsLine | undefined;
  running: { readonly stop: AbortController; readonly session: Session; readonly mirror: Mirror } | undefined;
  /** Why its agent has given up. */
  ended: unknown;
  /** Why it could not join, when it last tried. */
  logged: { readonly atMs: number; readonly text: string };
  /** Certificates it was given. */
  taken: number;
};

export class Fleet implements Wire {
  readonly clock = new VirtualClock();
  /** The server's; each host has its own. */
  readonly wall = new WallClock(this.clock);
  readonly random: (n: number) => number;
  readonly store = openMemoryStore({ cluster: "simulated", history: 64 });
  readonly members = new Map<string, Member>();
  readonly repeatsReports = false;
  lossPercent = 0;
  control: Control | undefined;
  tls: TlsServer | undefined;
  /** Certificates of hosts that were deleted. */
  readonly deleted: string[] = [];
  readonly #newKey = textKeys();
  readonly #certifier = textCertifier(this.#newKey);
  readonly #life: CertificateLife;
  /** By how much clocks are wrong. */
  readonly #offsets = new Map<WallClock, number>();
  #stop = new AbortController();

  constructor(random: (n: number) => number, life: CertificateLife) {
    this.random = random;
    this.#life = life;
  }

  async startServer(): Promise<void> {
    if (this.control !== undefined) return;
    const clock = this.wall.started();
    const later = (run: () => void): void => void this.clock.sleep(5).then(run);
    const control = await Control.open(this.store, {
      clock,
      later,
      certifier: this.#certifier,
      certificateLife: this.#life,
    });
    if (!control.hasToken("join")) await control.setToken("join", JOIN_TOKEN);
    this.#stop = new AbortController();
    this.tls = await serveTls(control, clock, this.#stop.signal);
    this.control = control;
  }

  /** As kill -9. */
  killServer(): void {
    void this.control?.close();
    this.control = this.tls = undefined;
    this.#stop.abort();
  }

  /** With a copy of what the server's join.token says now. */
  addHost(): Member {
    const n = this.members.size + 1;
    const disk = { key: this.#newKey(), given: undefined, wasLetIn: false, joinToken: joinTokenFile(this.control) };
    const member: Member = {
      name: `h${n}`,
      underlay: `172.16.${n >> 8}.${n & 255}`,
      credential: "",
      proposal: 0,
      disk,
      wall: new WallClock(this.clock),
      line: undefined,
      running: undefined,
      ended: undefined,
      logged: { atMs: 0, text: "" },
      taken: 0,
      isCut: false,
      heardAtMs: 0,
    };
    this.members.set(member.name, member);
    return member;
  }

  startAgent(member: Member): void {
    if (member.running !== undefined) return;
    const { disk, wall, name, underlay } = member;
    const clock = wall.started();
    const line = (member.line = new TlsLine(credentialOn(disk, this.#certifier), clock));
    const transport = lineOf(this, member);
    const random = () => this.random(1000) / 1000;
    const mirror = new Mirror({ transport, clock, random });
    const claim = { host: name, underlay, underlayMtu: 1500, hostPrefixes: [], bootId: "boot" };
    const session = new Session(
      {
        transport,
        mirror,
        clock,
        random,
        claim: () => Promise.resolve(claim),
        cluster: disk.wasLetIn ? "simulated" : undefined,
        blockLease: new BlockLease(clock, undefined, () => undefined),
        saveSnapshot: () => Promise.resolve(),
        log: (message, { error } = {}) => {
          if (message === "join") member.logged = { atMs: this.clock.nowMs(), text: String(error) };
        },
        saveIdentity: ({ certificate }) => {
          if (member.line !== line) return;
          Object.assign(disk, { key: line.credential.key, given: line.credential.given, wasLetIn: true });
          if (certificate !== undefined) member.taken++;
        },
        renew: () => member.line === line && this.#renew(disk, line),
      },
      { ...EMPTY_REPORT, host: name },
    );
    const stop = new AbortController();
    member.running = { stop, session, mirror };
    member.ended = undefined;
    void session.run(stop.signal, () => Promise.resolve()).catch((error: unknown) => (member.ended = error));
  }

  /** As kill -9. */
  killAgent(member: Member): void {
    member.running?.stop.abort();
    member.running = member.line = undefined;
  }

  /** As `renewal` of src/main/hostCredential.ts: with a new key, if there is a token to join with. */
  #renew(disk: TlsDisk, line: TlsLine): boolean {
    if (disk.joinToken === undefined) return false;
    disk.key = this.#newKey();
    line.credential.begin(disk.key);
    line.close();
    return true;
  }

  /** Somebody copies the server's join.token to the host. */
  giveToken({ disk }: Member): void {
    disk.joinToken = joinTokenFile(this.control);
  }

  /** What a person asks of the server; whether it did it. */
  async ask(what: (control: Control) => Promise<unknown>): Promise<boolean> {
    const { control } = this;
    if (control === undefined) return false;
    const done = what(control).then(
      () => true,
      (error: unknown) => {
        if (error instanceof Fault) return false;
        throw error;
      },
    );
    await this.clock.advance(10);
    return done;
  }

  async rotate(): Promise<boolean> {
    return this.ask(async ({ authority }) => authority?.rotate(SERVER));
  }

  async drop(force = false): Promise<boolean> {
    return this.ask(async ({ authority }) => authority?.drop(SERVER, force));
  }

  /** The certificate that it has, or gets in this moment, opens nothing any more. */
  async delete(member: Member): Promise<boolean> {
    const had = member.line?.credential.given ?? member.disk.given;
    const isDone = await this.ask((control) => control.write({ verb: "delete", kind: "host", name: member.name }));
    if (isDone && had !== undefined) this.deleted.push(had.certificate);
    return isDone;
  }

  /** Somebody sets a clock to so much before or after the right time. */
  setClock(wall: WallClock, offsetMs: number): void {
    wall.step(offsetMs - (this.#offsets.get(wall) ?? 0));
    this.#offsets.set(wall, offsetMs);
  }

  async end(): Promise<void> {
    for (const member of this.members.values()) this.killAgent(member);
    this.killServer();
    await this.clock.advance(60_000);
  }
}

const EMPTY_REPORT = {
  bootId: "boot",
  version: "simulated",
  revision: 0,
  driftRepaired: 0,
  errors: [],
  networks: [],
  conditions: [],
  hostPrefixes: [],
  objects: 0,
};

/** Why the server does not let in who shows this certificate; undefined if it does. */
export function refusalOf({ control, wall }: Fleet, certificate: string): Fault | undefined {
  const { authority } = control ?? {};
  assert(control !== undefined && authority !== undefined);
  try {
    const shown = shownAs(certificate, authority);
    callerOf(control, { certificate: shown, from: "somewhere" }, wall.started().nowMs());
    return undefined;
  } catch (error) {
    if (error instanceof Fault) return error;
    throw error;
  }
}

/** What the host tells people of its trouble: in its log when it tries to join, in conditions, or when it ends. */
export function toldBy({ clock }: Fleet, { running, ended, logged }: Member): string {
  const problem = running?.mirror.problem?.message ?? "";
  const end = ended instanceof Fault ? ended.message : "";
  const log = clock.nowMs() - logged.atMs < 30_000 ? logged.text : "";
  return [problem, end, log, ...(running?.session.report.conditions ?? [])].join("\n");
}

/** Hosts whose certificate is not one of the CA that signs now, or is refused, with the reason. */
export function without(fleet: Fleet): ReadonlyMap<Member, string> {
  const { authority } = fleet.control ?? {};
  const found = new Map<Member, string>();
  for (const member of fleet.members.values()) {
    const given = member.line?.credential.given;
    const why =
      given === undefined
        ? "it has none"
        : (refusalOf(fleet, given.certificate)?.message ??
          (authority?.issuerOf(given.certificate) === authority?.pin ? undefined : "it is of the CA before"));
    if (why !== undefined) found.set(member, why);
  }
  return found;
}
