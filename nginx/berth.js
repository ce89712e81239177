// What nginx's own variables don't tell.

const NAMES = /^(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+\n)*$/;
const CONTROLS = /[\x00-\x08\x0b-\x1f\x7f]/;

// An empty header is not a missing one.
function hasHost(request) {
    return String(request.headersIn.Host !== undefined);
}

// A name that is no token, or a control character in a value (RFC 9110 §5.5, §5.6.2).
function hasInvalidHeader(request) {
    const headers = request.rawHeadersIn;
    let names = '';
    let values = '';
    for (let i = 0; i < headers.length; i++) {
        names += headers[i][0] + '\n';
        values += headers[i][1] + '\n';
    }
    return NAMES.test(names) && !CONTROLS.test(values) ? '' : '1';
}

export default { hasHost, hasInvalidHeader };
