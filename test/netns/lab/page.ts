// A page whose commands are run: blocks of `console`, in which a prompt says who types, and files that it shows.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

export type Step = { readonly who: string; readonly command: string; readonly output: string };
type Part = { readonly who: string; readonly command: string; readonly from: number; readonly to: number };

const PROMPT = /^([a-z][a-z0-9@]*)\$ (.*)$/;

export class Page {
  readonly #path: string;
  readonly #lines: readonly string[];

  constructor(path: string) {
    this.#path = path;
    this.#lines = readFileSync(path, "utf8").split("\n");
  }

  /** Writes the files that the page shows: blocks whose first line is `# NAME.yaml`. */
  writeFiles(folder: string): void {
    for (const [from, to] of this.#blocks("yaml")) {
      const name = /^# ([a-z]+\.yaml)$/.exec(this.#lines[from] ?? "")?.[1];
      if (name !== undefined) writeFileSync(join(folder, name), `${this.#lines.slice(from + 1, to).join("\n")}\n`);
    }
  }

  get steps(): readonly Step[] {
    return this.#parts().map(({ who, command, from, to }) => ({
      who,
      command,
      output: this.#lines.slice(from, to).join("\n"),
    }));
  }

  /** The same page with other outputs, in the order of its steps. */
  rewrite(outputs: readonly string[]): void {
    const lines = [...this.#lines];
    for (const [i, { from, to }] of [...this.#parts().entries()].toReversed()) {
      const output = outputs[i] ?? "";
      lines.splice(from, to - from, ...(output === "" ? [] : output.split("\n")));
    }
    writeFileSync(this.#path, lines.join("\n"));
  }

  #parts(): Part[] {
    return this.#blocks("console").flatMap(([start, end]) => {
      const prompts = Array.from({ length: end - start }, (_, i) => start + i).filter((n) =>
        PROMPT.test(this.#lines[n] ?? ""),
      );
      return prompts.map((at, i): Part => {
        const [, who = "", command = ""] = PROMPT.exec(this.#lines[at] ?? "") ?? [];
        return { who, command, from: at + 1, to: prompts[i + 1] ?? end };
      });
    });
  }

  /** First line and the one behind the last of each block of a language. */
  #blocks(language: string): (readonly [from: number, to: number])[] {
    return this.#lines.flatMap((line, i) =>
      line === `\`\`\`${language}` ? [[i + 1, this.#lines.indexOf("```", i + 1)] as const] : [],
    );
  }
}
