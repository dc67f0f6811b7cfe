//! What a connection and its messages are called where there are services: for the log alone.

#[cfg(all(feature = "tracing", feature = "services"))]
pub(crate) use known::Words;
#[cfg(not(feature = "services"))]
pub(crate) use nobody::Words;
#[cfg(all(feature = "services", not(feature = "tracing")))]
pub(crate) use nothing::Words;

#[cfg(all(feature = "tracing", feature = "services"))]
mod known {
    use crate::services::layer::Names;
    use hsms_core::services::Described;
    use hsms_core::wire::Header;
    use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

    /// Shared by the services, which know it, and the link, which logs. Nothing is logged while it is locked.
    #[derive(Debug)]
    pub(crate) struct Words(Mutex<Known>);

    #[derive(Debug)]
    struct Known {
        channel: Option<Arc<str>>,
        stream: u8,
        names: Names,
    }

    impl Words {
        pub(crate) fn new(stream: u8) -> Self {
            Words(Mutex::new(Known { channel: None, stream, names: Names::new() }))
        }

        /// The name of the connection.
        pub(crate) fn channel(&self) -> Option<Arc<str>> {
            self.known().channel.clone()
        }

        pub(crate) fn set_channel(&self, channel: Option<&str>) {
            let mut known = self.known();
            if known.channel.as_deref() != channel {
                known.channel = channel.map(Arc::from);
            }
        }

        pub(crate) fn set_names(&self, names: &Names) {
            self.known().names.clone_from(names);
        }

        /// What a message is called; `None` of one that is no data.
        pub(crate) fn describe(&self, header: &Header, text: &[u8]) -> Option<Described<'static>> {
            let known = self.known();
            known.names.describe_message(known.stream, header, text)
        }

        fn known(&self) -> MutexGuard<'_, Known> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner)
        }
    }
}

/// There is nobody who would log.
#[cfg(all(feature = "services", not(feature = "tracing")))]
mod nothing {
    use crate::services::layer::Names;
    use std::sync::Arc;

    #[derive(Debug)]
    pub(crate) struct Words;

    #[expect(clippy::unused_self, reason = "as where something is logged")]
    impl Words {
        pub(crate) const fn new(_: u8) -> Self {
            Words
        }

        pub(crate) const fn channel(&self) -> Option<Arc<str>> {
            None
        }

        pub(crate) const fn set_channel(&self, _: Option<&str>) {}

        pub(crate) const fn set_names(&self, _: &Names) {}
    }
}

/// There are no services.
#[cfg(not(feature = "services"))]
mod nobody {
    use std::sync::Arc;

    #[derive(Debug)]
    pub(crate) enum Words {}

    impl Words {
        pub(crate) const fn channel(&self) -> Option<Arc<str>> {
            match *self {}
        }

        #[cfg(feature = "tracing")]
        pub(crate) const fn describe(&self, _: &hsms_core::wire::Header, _: &[u8]) -> Option<&'static str> {
            match *self {}
        }
    }
}
