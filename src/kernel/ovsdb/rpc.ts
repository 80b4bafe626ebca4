// JSON-RPC 1.0 over one connection to a server of OVSDB (RFC 7047, 4): calls with an answer, notifications without one,
// and echoes, by which the server finds out whether this end lives.
import type { Socket } from "node:net";
import { clearTimeout, setTimeout } from "node:timers";
import { Fault } from "../../model/fault.ts";
import { Frames, type Message, garbled } from "./frames.ts";

/** Calls without an answer. More are refused: the server does not keep up. */
const WAITING_MAX = 256;
/** Bytes that the server has not taken. */
const UNSENT_MAX = 16 * 1024 * 1024;

type Waiting = {
  readonly method: string;
  readonly answered: (result: unknown) => void;
  readonly failed: (error: Error) => void;
  readonly timer: NodeJS.Timeout;
};

export type RpcEvents = {
  /** Throws a Fault if it cannot be understood: the connection ends. */
  readonly notified: (method: string, params: readonly unknown[]) => void;
  /** Called once, with the reason. */
  readonly ended: (fault: Fault) => void;
};

type Call = { readonly method: string; readonly params: readonly unknown[]; readonly timeoutMs: number };

/** The server refused a call. */
export class CallRefused extends Error {
  readonly error: unknown;
  constructor(method: string, error: unknown) {
    super(`${method}: ${JSON.stringify(error)}`);
    this.name = "CallRefused";
    this.error = error;
  }
}

export class Rpc {
  readonly #socket: Socket;
  readonly #events: RpcEvents;
  readonly #frames = new Frames();
  readonly #waiting = new Map<number, Waiting>();
  #count = 0;
  #end: Fault | undefined;

  /** `socket` is connected. */
  constructor(socket: Socket, events: RpcEvents) {
    this.#socket = socket;
    this.#events = events;
    socket.on("data", (piece) => this.#receive(piece));
    socket.once("error", (cause) => this.close(lost(String(cause), cause)));
    socket.once("close", () => this.close(lost("the server closed the connection")));
  }

  /**
   * What `read` makes of the server's answer. It is called as soon as the answer is there and before what came behind
   * it is looked at; a Fault of its own ends the connection. Rejects with CallRefused if the server refuses, and with a
   * Fault if there is no answer in time.
   */
  call<T>({ method, params, timeoutMs }: Call, read: (result: unknown) => T): Promise<T> {
    if (this.#end !== undefined) return Promise.reject(this.#end);
    if (this.#waiting.size >= WAITING_MAX || this.#socket.writableLength > UNSENT_MAX)
      return Promise.reject(lost(`${this.#waiting.size} requests wait for an answer already`));
    const id = ++this.#count;
    return new Promise((resolve, failed) => {
      // Its answer could come when another waits: the connection is not used again.
      const timer = setTimeout(() => this.close(late(method, timeoutMs)), timeoutMs);
      const answered = (result: unknown) => resolve(read(result));
      this.#waiting.set(id, { method, answered, failed, timer });
      this.#send({ method, params, id });
    });
  }

  /** Ends the connection; calls without an answer reject with `fault`. */
  close(fault: Fault): void {
    if (this.#end !== undefined) return;
    this.#end = fault;
    this.#socket.destroy();
    for (const { failed, timer } of this.#waiting.values()) {
      clearTimeout(timer);
      failed(fault);
    }
    this.#waiting.clear();
    this.#events.ended(fault);
  }

  #echo(id: unknown, params: readonly unknown[]): void {
    if (this.#socket.writableLength > UNSENT_MAX) throw garbled("it asks and takes no answers");
    this.#send({ id, result: params, error: null });
  }

  #send(message: Message): void {
    this.#socket.write(JSON.stringify(message));
  }

  #receive(piece: Buffer): void {
    if (this.#end !== undefined) return;
    try {
      for (const message of this.#frames.push(piece)) this.#take(message);
    } catch (error) {
      this.close(error instanceof Fault ? error : garbled(String(error), error));
    }
  }

  #take({ id, method, params, result, error }: Message): void {
    if (typeof method === "string") {
      if (!Array.isArray(params)) throw garbled(`${method} has no list of parameters`);
      if (method === "echo") this.#echo(id, params);
      else this.#events.notified(method, params);
      return;
    }
    const waiting = typeof id === "number" ? this.#waiting.get(id) : undefined;
    if (waiting === undefined) throw garbled(`an answer to no question: ${JSON.stringify(id)}`);
    this.#waiting.delete(id as number);
    clearTimeout(waiting.timer);
    try {
      if (error !== null && error !== undefined) waiting.failed(new CallRefused(waiting.method, error));
      else waiting.answered(result);
    } catch (fault) {
      waiting.failed(fault as Error);
      throw fault;
    }
  }
}

export function lost(why: string, cause?: unknown): Fault {
  const fix = "start ovsdb-server (systemctl start openvswitch-switch); Weft connects again by itself";
  return new Fault("unavailable", { what: "the Open vSwitch database cannot be reached", why, fix }, { cause });
}

function late(method: string, timeoutMs: number): Fault {
  const why = `${method} has no answer after ${timeoutMs / 1000} s`;
  const fix = "look whether ovsdb-server is overloaded or stopped; Weft connects again by itself";
  return new Fault("timeout", { what: "the Open vSwitch database does not answer", why, fix });
}
