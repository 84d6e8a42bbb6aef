import type { IncomingMessage } from 'node:http';
import {
  type AdminHandler,
  type AdminResponse,
  type AdminRoute,
  type AdminRoutes,
  json,
} from './admin-routes.ts';
import type { Log } from './log.ts';

/** Commands are a few names; this is generous. */
const MAX_BODY_BYTES = 64 * 1024;
/** Only there to make a URL of a path. */
const ANY_ORIGIN = 'http://admin';

/**
 * Finds the handler and gives its answer: 404 for an unknown path, 405 with `Allow` for another method, 413
 * for a body beyond 64 KiB, 400 for one that cannot be read, 500 for a handler that fails. Never rejects.
 */
export async function answerRequest(
  request: IncomingMessage,
  routes: AdminRoutes,
  log: Pick<Log, 'warn' | 'error'>,
): Promise<AdminResponse> {
  const target = request.url ?? '/';
  if (!URL.canParse(target, ANY_ORIGIN))
    return json(400, { error: 'The request target is no path.' });
  const { pathname: path, searchParams: query } = new URL(target, ANY_ORIGIN);
  const route = routes.get(path);
  if (route === undefined) return json(404, { error: `There is nothing at ${path}.` });
  const method = request.method ?? 'GET';
  const handler = handlerOf(route, method);
  if (handler === undefined) return methodNotAllowed(route, method);
  if (method === 'POST' && isForeign(request)) {
    return json(403, { error: 'A page of another site may not give commands here.' });
  }
  try {
    const body = method === 'POST' ? await readBody(request) : Buffer.alloc(0);
    if (body === undefined) {
      return json(413, { error: `The body is larger than ${MAX_BODY_BYTES} bytes.` });
    }
    return await handler({ method, path, query, body });
  } catch (err) {
    if (request.errored) return json(400, { error: 'The body could not be read.' });
    log.error({ err, event: 'admin-request-failed', method, path }, 'An admin request has failed.');
    return json(500, { error: 'The request has failed; the log says why.' });
  }
}

/** A browser names the site that sends a POST; other clients name none (Fetch standard, § 3.1 Origin). */
function isForeign(request: IncomingMessage): boolean {
  const { origin, host } = request.headers;
  if (origin === undefined) return false;
  return !URL.canParse(origin) || new URL(origin).host !== host;
}

function handlerOf(route: AdminRoute, method: string): AdminHandler | undefined {
  if (method === 'GET' || method === 'HEAD') return route.GET;
  return method === 'POST' ? route.POST : undefined;
}

function methodNotAllowed(route: AdminRoute, method: string): AdminResponse {
  const allow = [...(route.GET ? ['GET', 'HEAD'] : []), ...(route.POST ? ['POST'] : [])].join(', ');
  return {
    ...json(405, { error: `${method} is not possible here, only ${allow}.` }),
    headers: { allow },
  };
}

/** The body, or undefined when it is too large; that one is read to its end too, so that the answer arrives. */
async function readBody(request: IncomingMessage): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request) {
    bytes += chunk.length;
    if (bytes <= MAX_BODY_BYTES) chunks.push(chunk);
  }
  return bytes <= MAX_BODY_BYTES ? Buffer.concat(chunks) : undefined;
}
