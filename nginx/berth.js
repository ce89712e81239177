// nginx's own variables are empty for a header that is empty and for one that is missing.
export default { hasHost: request => String(request.headersIn.Host !== undefined) };
