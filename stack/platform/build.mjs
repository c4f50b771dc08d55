/**
 * Builds the Worker and the web app with Vite, once for each state of the sources: the result depends on no variable, so
 * one build serves every target (public values come at run time from /config.json).
 *   node build.mjs [FOLDER]   builds into FOLDER (default dist/), for a deployment by wrangler
 */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "vite";

export const HERE = dirname(fileURLToPath(import.meta.url));
const ROOT = join(HERE, "../..");

export const SENTRY_CLI = join(ROOT, "node_modules/@sentry/cli/bin/sentry-cli");

const filesBelow = (folder) =>
  readdirSync(folder, { recursive: true }).map((f) => join(folder, f)).filter((f) => statSync(f).isFile()).sort();

/** A hash of everything the build depends on. */
export function sourceHash() {
  const hash = createHash("sha256");
  const sources = ["worker", "web", "shared"].flatMap((d) => filesBelow(join(HERE, d)));
  for (const file of [...sources, join(HERE, "build.mjs"), join(HERE, "variables.mjs"), join(ROOT, "package-lock.json")]) hash.update(relative(HERE, file)).update("\0").update(readFileSync(file));
  return hash.digest("hex").slice(0, 16);
}

/** Original files are named from the project's root wherever the build is made. */
const sourcemapPathTransform = (path) => path.replace(/^(\.\.\/)+/, "");
/** Debug ids tie each file to its source map at Sentry; the maps are uploaded there and never served. */
const inject = (folder) => execFileSync(process.execPath, [SENTRY_CLI, "sourcemaps", "inject", folder], { stdio: ["ignore", "ignore", "inherit"] });

const common = { configFile: false, envDir: false, logLevel: "warn" };

export async function buildInto(folder) {
  await build({
    ...common, root: join(HERE, "worker"),
    build: {
      outDir: join(folder, "worker"), emptyOutDir: true, ssr: join(HERE, "worker/index.ts"), target: "es2022", sourcemap: true, minify: false,
      rolldownOptions: { external: [/^cloudflare:/], output: { format: "es", entryFileNames: "worker.mjs", codeSplitting: false, sourcemapPathTransform } },
    },
    ssr: { noExternal: true, target: "webworker" },
  });
  inject(join(folder, "worker"));
  if (existsSync(join(HERE, "web/index.html"))) {
    await build({
      ...common, root: join(HERE, "web"),
      build: { outDir: join(folder, "web"), emptyOutDir: true, target: "es2022", sourcemap: "hidden", assetsInlineLimit: 0, chunkSizeWarningLimit: 1500,
        rolldownOptions: { checks: { eval: false }, output: { sourcemapPathTransform } } },
    });
    inject(join(folder, "web/assets"));
    writeFileSync(join(folder, "web/.assetsignore"), "*.map\n");
  }
}

/** The folder of the build for the present sources, made if it is not there. Safe when several start at once. */
export async function cachedBuild(cache) {
  const hash = sourceHash();
  const folder = join(cache, `build-${hash}`);
  if (!existsSync(join(folder, "done"))) {
    const mine = `${folder}.${process.pid}`;
    mkdirSync(mine, { recursive: true });
    await buildInto(mine);
    writeFileSync(join(mine, "done"), new Date().toISOString());
    try {
      renameSync(mine, folder);
    } catch (error) {
      if (!existsSync(join(folder, "done"))) throw error; // another start has won: its build is the same
      rmSync(mine, { recursive: true });
    }
    // A stack that still runs serves its own build from here: only what nobody started for a week goes.
    const old = Date.now() - 7 * 86_400_000;
    for (const name of readdirSync(cache).filter((d) => /^build-[0-9a-f]{16}/.test(d))) {
      const each = join(cache, name);
      if (statSync(each).mtimeMs < old) rmSync(each, { recursive: true, force: true });
    }
  }
  utimesSync(folder, new Date(), new Date());
  return { folder, hash };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await buildInto(process.argv[2] ?? join(HERE, "dist"));
