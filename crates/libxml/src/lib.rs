//! Stands in for the crate `libxml`, so that hurl's parser builds with cargo alone.
//!
//! `hurl_core` asks libxml2 for one thing: where an XML body ends that a file has without quotes
//! around it. For that it would need libxml2's headers and libclang on every machine that builds
//! the workspace. Here the question is always answered with "that is no XML", which the parser
//! reports at its line, and `suite` explains; a body between ```` ```xml ```` and ```` ``` ```` needs
//! no end found. It must not become an XML parser: nothing is read here.

#![forbid(unsafe_code)]

/// The names and shapes of libxml2's C headers, as far as `hurl_core` spells them out.
#[expect(
    non_camel_case_types,
    non_snake_case,
    clippy::pub_underscore_fields,
    reason = "libxml2's own names"
)]
pub mod bindings {
    use std::ffi::{c_char, c_int, c_uchar, c_uint, c_void};
    use std::ptr;

    pub type xmlChar = c_uchar;
    pub type xmlSAXHandlerPtr = *mut xmlSAXHandler;
    pub type xmlParserCtxtPtr = *mut c_void;

    pub const XML_SAX2_MAGIC: c_uint = 0xDEED_BEAF;

    type Event = unsafe extern "C" fn(*mut c_void);
    /// A callback nobody sets; its true arguments do not matter.
    type Unset = Option<Event>;

    /// libxml2's table of callbacks. None of them is ever called.
    pub struct xmlSAXHandler {
        pub internalSubset: Unset,
        pub isStandalone: Unset,
        pub hasInternalSubset: Unset,
        pub hasExternalSubset: Unset,
        pub resolveEntity: Unset,
        pub getEntity: Unset,
        pub entityDecl: Unset,
        pub notationDecl: Unset,
        pub attributeDecl: Unset,
        pub elementDecl: Unset,
        pub unparsedEntityDecl: Unset,
        pub setDocumentLocator: Unset,
        pub startDocument: Option<Event>,
        pub endDocument: Option<Event>,
        pub startElement: Unset,
        pub endElement: Unset,
        pub reference: Unset,
        pub characters: Unset,
        pub ignorableWhitespace: Unset,
        pub processingInstruction: Unset,
        pub comment: Unset,
        pub warning: Unset,
        pub error: Unset,
        pub fatalError: Unset,
        pub getParameterEntity: Unset,
        pub cdataBlock: Unset,
        pub externalSubset: Unset,
        pub initialized: c_uint,
        pub _private: *mut c_void,
        pub startElementNs: Option<
            unsafe extern "C" fn(
                *mut c_void,
                *const xmlChar,
                *const xmlChar,
                *const xmlChar,
                c_int,
                *mut *const xmlChar,
                c_int,
                c_int,
                *mut *const xmlChar,
            ),
        >,
        pub endElementNs: Option<
            unsafe extern "C" fn(*mut c_void, *const xmlChar, *const xmlChar, *const xmlChar),
        >,
        pub serror: Unset,
    }

    pub fn xmlCreatePushParserCtxt(
        _handler: xmlSAXHandlerPtr,
        _data: *mut c_void,
        _chunk: *const c_char,
        _size: c_int,
        _name: *const c_char,
    ) -> xmlParserCtxtPtr {
        ptr::null_mut()
    }

    /// Anything but zero says that the text is not well-formed.
    pub fn xmlParseChunk(
        _context: xmlParserCtxtPtr,
        _chunk: *const c_char,
        _size: c_int,
        _terminate: c_int,
    ) -> c_int {
        1
    }

    pub fn xmlFreeParserCtxt(_context: xmlParserCtxtPtr) {}
}
