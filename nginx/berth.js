// nginx's own variables don't tell an empty header from a missing one.
export default { hasHost: request => String(request.headersIn.Host !== undefined) };
