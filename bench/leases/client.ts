// Clients of the API for the lease bench: several connections that stay open, each with one request at a time. Speaks
// just enough HTTP/1.1 itself: a full client would take the processor from the server that is measured.
import { once } from "node:events";
import { type Socket, connect } from "node:net";
import { answering } from "./child.ts";
import { type ClaimsRun, claimOf, inFlight } from "./claims.ts";

/** Takes every `step`-th lease of `from`…`from + count`: the others are other processes'. */
export type Question = {
  readonly ask: "take";
  readonly from: number;
  readonly count: number;
  readonly step: number;
  readonly port: number;
  readonly token: string;
  readonly connections: number;
};

async function answer({ from, count, step, port, token, connections }: Question): Promise<ClaimsRun> {
  const requests: string[] = [];
  for (let n = from; n < from + count; n += step) requests.push(requestOf(n, token));
  const lines = await Promise.all(Array.from({ length: connections }, () => Line.open(port)));
  try {
    return await inFlight(requests, connections, async (request, client) => {
      const { status, body } = (await lines[client]?.ask(request)) ?? { status: 0, body: "" };
      if (status !== 201) throw new Error(`${status} ${body}`);
    });
  } finally {
    for (const line of lines) line.close();
  }
}

function requestOf(n: number, token: string): string {
  const body = JSON.stringify(claimOf(n));
  const head = `POST /v1/endpoints HTTP/1.1\r\nhost: weft\r\nauthorization: Bearer ${token}\r\n`;
  return `${head}content-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`;
}

type Response = { readonly status: number; readonly body: string };

/** A connection. Everything is ASCII, so characters are bytes. */
class Line {
  readonly #socket: Socket;
  #text = "";
  #answered: (response: Response) => void = () => {};

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setEncoding("latin1").setNoDelay();
    socket.on("data", (text: string) => this.#read(text));
  }

  static async open(port: number): Promise<Line> {
    const socket = connect(port, "127.0.0.1");
    await once(socket, "connect");
    return new Line(socket);
  }

  ask(request: string): Promise<Response> {
    return new Promise((resolve) => {
      this.#answered = resolve;
      this.#socket.write(request);
    });
  }

  #read(text: string): void {
    this.#text += text;
    const end = this.#text.indexOf("\r\n\r\n");
    if (end < 0) return;
    const length = Number(/\r\ncontent-length: (\d+)/i.exec(this.#text)?.[1]);
    const body = this.#text.slice(end + 4);
    if (body.length < length) return;
    const status = Number(this.#text.slice(9, 12));
    this.#text = "";
    this.#answered({ status, body });
  }

  close(): void {
    this.#socket.destroy();
  }
}

answering(answer, async () => {});
