// The Python of the tests of testers, with pytest and schemathesis: installed into tests/.cache on first use.

import { execFileSync } from "node:child_process";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..");

/** The path of its executable. */
export function python() {
    const script = ". tests/harness/schemathesis.sh && printf %s \"$SCHEMATHESIS_PYTHON\"";
    return execFileSync("bash", ["-c", script], { cwd: root, encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] });
}
