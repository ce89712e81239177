//! One validator: the app and nginx read the same variables by the same rules, with the same errors.
