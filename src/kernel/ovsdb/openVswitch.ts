// Open vSwitch of this host, as far as it is Weft's: what its database has, transactions that make it what is desired,
// and what its daemon made of that. A host whose networks do not use it is not connected: its database is looked at
// once, for rows of an earlier life, and then left alone.
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { OvsPort } from "../../datapath/kinds/openVswitch.ts";
import { defined } from "../../model/defined.ts";
import { Fault } from "../../model/fault.ts";
import type { Refusal } from "../kernel.ts";
import { type Operation, type Outcome, Ovsdb, TransactionRefused } from "./client.ts";
import { bridgelessText, deafTunnels } from "./lacks.ts";
import { hasDatabase } from "./presence.ts";
import type { Replica, Row } from "./replica.ts";
import { type OvsObject, WATCHED, makePort, objectsIn, removePort, rowOf, troubleOf } from "./rows.ts";
import { numbersIn, textsIn } from "./values.ts";

/** Where Open vSwitch has its sockets. */
export const OVSDB_SOCKET = "/run/openvswitch/db.sock";

/** How long a round waits for the database to answer, and for the daemon to do what it says: it takes some 10 ms. */
const ANSWER_MS = 1000;
const ACT_MS = 2000;
/** How often it is looked meanwhile whether the daemon still runs: its end says nothing on its own. */
const ALIVE_MS = 50;
const DATABASE = "Open_vSwitch";
/** That of ovs-vswitchd: two of them never serve one database. */
const DAEMON_LOCK = "ovs_vswitchd";
const DAEMON_FILE = "ovs-vswitchd.pid";

export class OpenVswitch {
  readonly #path: string;
  readonly #db: Ovsdb;
  readonly #pokes = new Set<() => unknown>();
  /** Whether it is known what an earlier life has left. */
  #isKnown = false;
  /** Whether something of it was wanted since the last look. */
  #isWanted = false;
  /** The daemon did not do what the database says, within the time for that. */
  #isStalled = false;
  #didAnswer = false;
  /** No daemon is connected to the database; known where no file tells of one. */
  #isLeft = false;
  /** Ports whose bridge is another's, and not there, as the running round finds it. */
  readonly #bridgeless = new Map<string, OvsPort>();
  #told = "";

  /** `path` is the socket of its database; `timeoutMs` is for an answer, by default the client's. */
  constructor(path: string, timeoutMs?: number) {
    this.#path = path;
    const onChange = () => this.#changed();
    this.#db = new Ovsdb({ path, database: DATABASE, watched: WATCHED, onChange, ...defined({ timeoutMs }) });
  }

  /** Calls `poke` when something of Weft's has changed in it, until the signal. */
  watch(poke: () => unknown, signal: AbortSignal): void {
    if (signal.aborted) return;
    this.#pokes.add(poke);
    signal.addEventListener("abort", () => this.#pokes.delete(poke), { once: true });
  }

  /** To be called before objects(). */
  async look(): Promise<void> {
    this.#bridgeless.clear();
    if (!this.#db.isOpen && (this.#isKnown || !existsSync(this.#path))) return;
    const replica = await this.#opened();
    const isLeft = replica !== undefined && !this.#isWanted && objectsIn(replica).length === 0;
    this.#isKnown ||= replica !== undefined;
    this.#isWanted = false;
    if (isLeft) this.#db.close();
  }

  /** Whether its database answers. Once without an answer is no news: what is replaced is away for some seconds. */
  async isThere(): Promise<boolean> {
    const answers = this.#db.isOpen
      ? await this.#db.answers()
      : existsSync(this.#path) && (await hasDatabase(this.#path, DATABASE, ANSWER_MS));
    const isThere = answers || this.#didAnswer;
    this.#didAnswer = answers;
    if (this.#db.isOpen && answers) await this.#lookForDaemon();
    return isThere;
  }

  /** Only where no file tells of a process. */
  async #lookForDaemon(): Promise<void> {
    const isUnknown = pidIn(dirname(this.#path), DAEMON_FILE) === undefined;
    this.#isLeft = isUnknown && (await this.#db.isLocked(DAEMON_LOCK)) === false;
    this.#changed();
  }

  /** What is Weft's there; nothing while the database cannot be reached. */
  objects(): readonly OvsObject[] {
    return this.#db.replica === undefined ? [] : objectsIn(this.#db.replica);
  }

  /** The database as it is now, connected to if need be. */
  async wanted(): Promise<Replica | undefined> {
    this.#isWanted = true;
    return await this.#opened();
  }

  async #opened(): Promise<Replica | undefined> {
    this.#db.open();
    await this.#db.until(() => this.#db.replica !== undefined || this.#db.trouble !== undefined, ANSWER_MS);
    return this.#db.replica;
  }

  /** What is wrong with it, a line each, where Weft uses it. */
  troubles(): readonly string[] {
    const { trouble, replica } = this.#db;
    if (trouble !== undefined) return [trouble.message];
    if (replica === undefined) return [];
    const bridgeless = [...this.#bridgeless.values()].map(bridgelessText);
    if (objectsIn(replica).length === 0 || !this.isDead) return [...bridgeless, ...deafTunnels(replica)];
    return [
      ...bridgeless,
      "ovs-vswitchd does not run: what is made or changed in Open vSwitch waits for it, and its userspace datapath " +
        "carries nothing; start it (systemctl start openvswitch-switch)",
    ];
  }

  /** Whether its daemon is known not to run, or does not do what the database says. */
  get isDead(): boolean {
    if (this.#isStalled) return true;
    const [daemon, database] = [DAEMON_FILE, "ovsdb-server.pid"].map((file) => pidIn(dirname(this.#path), file));
    // Without a file, it was ended in order, or its files are elsewhere.
    return daemon === undefined ? database !== undefined || this.#isLeft : !isRunning(daemon);
  }

  /** Notes whether a port's bridge is there, which is another's. */
  noteBridge(port: OvsPort, isThere: boolean): void {
    if (isThere) this.#bridgeless.delete(port.name);
    else this.#bridgeless.set(port.name, port);
  }

  /**
   * Does all of these or nothing, and waits for the daemon to act on it. Gives why not; `at` as of TransactionRefused.
   */
  async transact(operations: readonly Operation[]): Promise<Failure | undefined> {
    const bump: readonly Operation[] = [
      { op: "mutate", table: "Open_vSwitch", where: [], mutations: [["next_cfg", "+=", 1]] },
      { op: "select", table: "Open_vSwitch", where: [], columns: ["next_cfg"] },
    ];
    try {
      await this.#acted((await this.#db.transact([...operations, ...bump])).at(-1));
      return undefined;
    } catch (error) {
      if (error instanceof TransactionRefused) return { at: error.at, refusal: refusalOf(error) };
      if (error instanceof Fault) return { at: undefined, refusal: { class: "busy", message: error.message } };
      throw error;
    }
  }

  async #acted(last: Outcome | undefined): Promise<void> {
    const [target = 0] = numbersIn(last?.rows?.[0]?.["next_cfg"]);
    if (this.isDead && !this.#isStalled) return;
    const hasActed = () => configured(this.#db.replica) >= target;
    this.#isStalled = !(this.#isStalled ? hasActed() : await this.until(hasActed)) && this.#db.replica !== undefined;
  }

  /** Why a port is not in use; undefined if it is. */
  troubleOf(port: string): Refusal | undefined {
    const face = this.#faceOf(port);
    if (face === undefined && this.#bridgeless.has(port)) return BRIDGELESS;
    if (face === undefined) return { class: "missing", message: `Open vSwitch has no port ${port} of Weft's` };
    const trouble = troubleOf(face);
    if (trouble === undefined) return undefined;
    return this.isDead ? DEAD : { class: "invalid", message: `Open vSwitch: ${trouble}` };
  }

  /** Whether it has this port, and it is Weft's. */
  hasPort(name: string): boolean {
    return this.#faceOf(name) !== undefined;
  }

  /** Number of a port's device in the host's namespace; undefined if it is not there, or has been moved. */
  deviceOf(port: string): number | undefined {
    const face = this.#faceOf(port);
    const [index = 0] = face === undefined ? [] : numbersIn(face["ifindex"]);
    return index > 0 ? index : undefined;
  }

  /** Of a port of Weft's. */
  #faceOf(port: string): Row | undefined {
    const found = this.#db.replica === undefined ? undefined : rowOf(this.#db.replica, "Interface", port);
    return found?.of === undefined ? undefined : found.row;
  }

  /** Whether it was found to be so while daemon and database were there, and had time to act. */
  async until(isSo: () => boolean): Promise<boolean> {
    for (let leftMs = ACT_MS; leftMs > 0 && !this.isDead && this.#db.replica !== undefined; leftMs -= ALIVE_MS)
      if (await this.#db.until(isSo, ALIVE_MS)) return true;
    return isSo();
  }

  /** Has a port of ours made anew, because its device is gone. */
  async remake(name: string): Promise<void> {
    await this.#lookForDaemon();
    const object = this.objects().find((one): one is OvsPort => one.kind === "ovs-port" && one.name === name);
    const row = this.#db.replica === undefined ? undefined : rowOf(this.#db.replica, "Port", name);
    if (object === undefined || row === undefined || this.isDead) return;
    const failure = await this.transact([removePort(object.bridge, row.id)]);
    if (failure === undefined) await this.transact(makePort(object, 0));
  }

  close(): void {
    this.#pokes.clear();
    this.#db.close();
  }

  #changed(): void {
    const { trouble, replica } = this.#db;
    if (replica !== undefined && configured(replica) >= nextOf(replica)) this.#isStalled = false;
    const devices = this.objects().map(({ name }) => [name, this.deviceOf(name)]);
    const bridges = [...(replica?.table("Bridge").values() ?? [])].map((row) => textsIn(row["name"])[0]);
    const told = JSON.stringify([
      this.objects(),
      devices,
      trouble?.message,
      this.isDead,
      bridges,
      replica && deafTunnels(replica),
    ]);
    if (told === this.#told) return;
    this.#told = told;
    for (const poke of this.#pokes) poke();
  }
}

const BRIDGELESS: Refusal = { class: "awaited", message: "Open vSwitch has no bridge of that name" };

/** What is refused because its daemon is away. */
export const DEAD: Refusal = { class: "busy", message: "ovs-vswitchd does not run, or does not act" };

export type Failure = { readonly at: number | undefined; readonly refusal: Refusal };

function refusalOf({ error, message }: TransactionRefused): Refusal {
  if (error === "timed out") return BRIDGELESS;
  return { class: "invalid", message: `Open vSwitch: ${message}` };
}

/** The latest configuration that the daemon has acted on. */
function configured(replica: Replica | undefined): number {
  return numberOf(replica, "cur_cfg");
}

function nextOf(replica: Replica): number {
  return numberOf(replica, "next_cfg");
}

function numberOf(replica: Replica | undefined, column: string): number {
  const [row] = replica?.table("Open_vSwitch").values() ?? [];
  return row === undefined ? 0 : (numbersIn(row[column])[0] ?? 0);
}

/** One that has ended, and that its parent has not asked about, still has its number (proc(5): state Z). */
function isRunning(pid: string): boolean {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "utf8");
    return !/^ [ZX]/.test(text.slice(text.lastIndexOf(")") + 1));
  } catch {
    return false;
  }
}

function pidIn(directory: string, file: string): string | undefined {
  try {
    return readFileSync(join(directory, file), "utf8").trim();
  } catch {
    return undefined;
  }
}
