// Claims of a host over one connection: the body of the request stays open, one line of JSON for each claim, and so
// does the answer (docs/decisions/0017). The first line of an answer may come before the write is durable. The host
// then answers no caller yet, and undoes what it built if the second line is a problem, or never comes.
import type { ServerResponse } from "node:http";
import type { Control } from "../control/control.ts";
import type { Caller, Outcome, Viewer } from "../control/write.ts";
import { Fault, problemOf } from "../model/fault.ts";
import { parseEndpointClaim } from "../model/parse.ts";
import { onBehalf } from "./onBehalf.ts";
import { bare } from "../control/state/visibility.ts";
import { recordRefusal } from "./refusals.ts";
import { type Route, viewerOf } from "./route.ts";
import { beginLines } from "./watches.ts";

/** Characters of one claim. */
const LINE_MAX = 1024 * 1024;
/** Claims of one host in progress; while there are this many, no more are read. */
const WAITING_MAX = 256;

type Asked = { readonly id: number; readonly claim: unknown };
type Claimer = Caller & { readonly identity: Viewer };
/** Who opened the connection, and who that is now. */
type By = { readonly opener: Caller; now(): Claimer };
type Line = { readonly response: ServerResponse; waiting: number; isEnded: boolean };

export class ClaimLines {
  readonly #control: Control;
  readonly #open = new Set<Line>();
  readonly #onError: (error: unknown) => void;

  /** `onError` is called with every internal error, because the answer does not show it. */
  constructor(control: Control, onError: (error: unknown) => void) {
    this.#control = control;
    this.#onError = onError;
  }

  get route(): Route {
    return {
      method: "POST",
      path: "/v1/claims",
      summary:
        "Makes endpoints one after the other: a line {id, claim} for each, answered {id, granted} and {id, kept}.",
      access: "host",
      isOpenEnded: true,
      answers: { 200: { type: "application/x-ndjson" } },
      // The host may have lost its right since it opened the connection.
      handle: (call) => ({
        stream: this.#serve({
          opener: call.caller,
          now() {
            const caller = call.prove();
            return { ...caller, identity: viewerOf(caller) };
          },
        }),
      }),
    };
  }

  /** Accepts no more claims; each connection ends when its claims are answered. */
  close(): void {
    for (const line of this.#open) end(line);
  }

  /** Answers the claims that the response's request brings until either side ends it. */
  #serve(by: By): (response: ServerResponse) => Promise<void> {
    return (response) =>
      new Promise((resolve) => {
        const line = { response, waiting: 0, isEnded: false };
        this.#open.add(line);
        response.on("close", () => {
          this.#open.delete(line);
          resolve();
        });
        response.on("error", () => response.destroy());
        beginLines(response);
        this.#listen(line, by);
      });
  }

  #listen(line: Line, by: By): void {
    const { response } = line;
    const { req: request } = response;
    // While a host does not read its answers, its claims are not read.
    const isBusy = () => line.waiting >= WAITING_MAX || response.writableNeedDrain;
    const goOn = () => (isBusy() ? request.pause() : request.resume());
    let rest = "";
    request.setEncoding("utf8");
    response.on("drain", goOn);
    request.on("data", (text: string) => {
      if (line.isEnded) return;
      const lines = (rest + text).split("\n");
      rest = lines.pop() ?? "";
      if (rest.length > LINE_MAX) return refuse(line, "it is longer than 1 MiB");
      for (const one of lines) {
        const asked = askedIn(one);
        if (asked === undefined) return refuse(line, `"${one.slice(0, 80)}" is not one`);
        line.waiting++;
        void this.#answer(response, asked, by).then(() => {
          line.waiting--;
          goOn();
          if (line.isEnded) end(line);
        });
      }
      goOn();
    });
    request.on("end", () => end(line));
  }

  async #answer(response: ServerResponse, { id, claim }: Asked, by: By): Promise<void> {
    const decided = ({ resource }: Outcome) => {
      say(response, { id, granted: resource && bare(resource) });
      // Not at the end of this turn, as node would: the disk write comes before that.
      response.socket?.uncork();
    };
    try {
      const { caller, claims, by: viewer } = onBehalf(this.#control, by.now(), [parseEndpointClaim(claim)]);
      for (const one of claims)
        await this.#control.writeAs(caller, { verb: "attach", claim: one, by: viewer }, { decided });
      say(response, { id, kept: true });
    } catch (error) {
      const problem = problemOf(error);
      if (problem.reason === "internal") this.#onError(error);
      const { opener } = by;
      recordRefusal(this.#control, { method: "POST", path: "/v1/claims", caller: opener, from: opener.from }, error);
      say(response, { id, problem });
    }
  }
}

function say(response: ServerResponse, value: object): void {
  if (!response.writableEnded) response.write(`${JSON.stringify(value)}\n`);
}

function end(line: Line): void {
  line.isEnded = true;
  if (line.waiting === 0) line.response.end();
}

function askedIn(line: string): Asked | undefined {
  try {
    const value = JSON.parse(line) as Partial<Asked> | null;
    return typeof value?.id === "number" && value.claim !== undefined ? (value as Asked) : undefined;
  } catch {
    return undefined;
  }
}

/** A problem that belongs to no claim ends the connection. */
function refuse(line: Line, why: string): void {
  const fix = "send one JSON value in each line, like {id, claim}; a claim is as in POST /v1/endpoints";
  const fault = new Fault("request-invalid", { what: "body: expected lines with a claim", why, where: "body", fix });
  say(line.response, { problem: problemOf(fault) });
  end(line);
}
