"""Every term the service speaks, a constant each. No other module spells an IRI of a vocabulary."""

SCHEMA = "http://schema.org/"
SCHEMA_HTTPS = "https://schema.org/"
RSV = "https://w3id.org/ld-reservations#"
SHAPES = "https://w3id.org/ld-reservations/shapes#"
RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
RDFS = "http://www.w3.org/2000/01/rdf-schema#"
XSD = "http://www.w3.org/2001/XMLSchema#"
SH = "http://www.w3.org/ns/shacl#"
HYDRA = "http://www.w3.org/ns/hydra/core#"
OWL = "http://www.w3.org/2002/07/owl#"
SD = "http://www.w3.org/ns/sparql-service-description#"
VOID = "http://rdfs.org/ns/void#"
DCTERMS = "http://purl.org/dc/terms/"
FOAF = "http://xmlns.com/foaf/0.1/"
FORMATS = "http://www.w3.org/ns/formats/"
SKOS = "http://www.w3.org/2004/02/skos/core#"

PREFIXES = {"schema": SCHEMA, "rsv": RSV, "rdf": RDF, "rdfs": RDFS, "xsd": XSD, "sh": SH, "hydra": HYDRA}

# RDF and XSD
TYPE = RDF + "type"
FIRST, REST, NIL = RDF + "first", RDF + "rest", RDF + "nil"
JSON_LITERAL = RDF + "JSON"
COMMENT = RDFS + "comment"
EXAMPLE = SKOS + "example"
LANG_STRING = RDF + "langString"
DIRECTIONAL_LANG_STRING = RDF + "dirLangString"
STRING, BOOLEAN, INTEGER = XSD + "string", XSD + "boolean", XSD + "integer"
DOUBLE, DATE_TIME, DURATION = XSD + "double", XSD + "dateTime", XSD + "duration"

# schema.org classes
PRODUCT = SCHEMA + "Product"
INDIVIDUAL_PRODUCT = SCHEMA + "IndividualProduct"
SOME_PRODUCTS = SCHEMA + "SomeProducts"
RENT_ACTION = SCHEMA + "RentAction"
PERSON = SCHEMA + "Person"
ORGANIZATION = SCHEMA + "Organization"
ENTRY_POINT = SCHEMA + "EntryPoint"
ACTION = SCHEMA + "Action"
DEMAND = SCHEMA + "Demand"
ORDER_ACTION = SCHEMA + "OrderAction"
MEDIA_OBJECT = SCHEMA + "MediaObject"
IMAGE_OBJECT = SCHEMA + "ImageObject"

# schema.org properties
IDENTIFIER = SCHEMA + "identifier"
NAME = SCHEMA + "name"
DESCRIPTION = SCHEMA + "description"
EMAIL = SCHEMA + "email"
SKU = SCHEMA + "sku"
SERIAL_NUMBER = SCHEMA + "serialNumber"
IS_VARIANT_OF = SCHEMA + "isVariantOf"
AGENT = SCHEMA + "agent"
OBJECT = SCHEMA + "object"
START_TIME = SCHEMA + "startTime"
END_TIME = SCHEMA + "endTime"
LENGTH = SCHEMA + "duration"
ACTION_STATUS = SCHEMA + "actionStatus"
ABOUT = SCHEMA + "about"
CONTENT_URL = SCHEMA + "contentUrl"
THUMBNAIL_URL = SCHEMA + "thumbnailUrl"
CONTENT_TYPE = SCHEMA + "encodingFormat"
BYTE_SIZE = SCHEMA + "contentSize"
CHECKSUM = SCHEMA + "sha256"
WIDTH = SCHEMA + "width"
HEIGHT = SCHEMA + "height"
DATE_CREATED = SCHEMA + "dateCreated"
DATE_MODIFIED = SCHEMA + "dateModified"

# our own classes
LINE_ITEM = RSV + "LineItem"
ALLOCATION = RSV + "Allocation"
REVISION = RSV + "Revision"
CONFLICT = RSV + "Conflict"
KIT_TEMPLATE = RSV + "KitTemplate"
KIT_COMPONENT = RSV + "KitComponent"
UNAVAILABILITY = RSV + "Unavailability"
TOMBSTONE = RSV + "Tombstone"

# our own properties
KIND = RSV + "kind"
IS_ACTIVE = RSV + "isActive"
CAPACITY_RULE = RSV + "capacityRule"
TURNAROUND_BEFORE = RSV + "turnaroundBefore"
TURNAROUND_AFTER = RSV + "turnaroundAfter"
METADATA = RSV + "metadata"
ASSET_TAG = RSV + "assetTag"
STATUS = RSV + "status"
LOCATION = SCHEMA + "location"
ASSIGNED_TO = RSV + "assignedTo"
MESH_NODE_ID = RSV + "meshNodeId"
WIREGUARD_HOSTNAME = RSV + "wireguardHostname"
UNAVAILABLE = RSV + "unavailable"
QUANTITY_TOTAL = RSV + "quantityTotal"
KIT_COMPONENTS = RSV + "kitComponent"
ITEM_TYPE = RSV + "itemType"
QUANTITY_PER_KIT = RSV + "quantityPerKit"
LINE_ITEMS = RSV + "lineItem"
REQUESTED_QUANTITY = RSV + "requestedQuantity"
ALLOCATED_QUANTITY = RSV + "allocatedQuantity"
NOTES = RSV + "notes"
MADE_OF = RSV + "madeOf"
PURPOSE = SCHEMA + "purpose"
PRIORITY = RSV + "priority"
IS_ASAP = RSV + "isAsap"
EXTERNAL_SOURCE = RSV + "externalSource"
EXTERNAL_REF = RSV + "externalRef"
CREATED_BY = RSV + "createdBy"
APPROVED_BY = RSV + "approvedBy"
APPROVED_AT = RSV + "approvedAt"
REJECTED_AT = RSV + "rejectedAt"
CANCELLED_AT = RSV + "cancelledAt"
ALLOCATIONS = RSV + "allocation"
ASSET = RSV + "asset"
STOCK_POOL = RSV + "stockPool"
QUANTITY = RSV + "quantity"
ALLOCATED_FROM = RSV + "allocatedFrom"
ALLOCATED_TO = RSV + "allocatedTo"
CHECKED_OUT_AT = RSV + "checkedOutAt"
RETURNED_AT = RSV + "returnedAt"
CONDITION = RSV + "condition"
OF_ALLOCATION = RSV + "ofAllocation"
REASON_CODE = RSV + "reasonCode"
EXPLANATION = RSV + "explanation"
HELD_BY = RSV + "heldBy"
SINCE = RSV + "since"
UNTIL = RSV + "until"
SHORTAGE = RSV + "shortage"
FOR_LINE = RSV + "forLine"
ITEM_TYPE_ID = RSV + "itemTypeId"
KIT_TEMPLATE_ID = RSV + "kitTemplateId"
ASSET_ID = RSV + "assetId"
REASON = RSV + "reason"
OWNER_KIND = RSV + "ownerKind"
OWNER_ID = RSV + "ownerId"
FILE_NAME = RSV + "fileName"
STORAGE_PROVIDER = RSV + "storageProvider"
STORAGE_KEY = RSV + "storageKey"
DOWNLOAD_URL = RSV + "downloadUrl"
TAKEN_AT = RSV + "takenAt"
POSITION_REMOVED = RSV + "positionRemoved"
DELETED_AT = RSV + "deletedAt"
DELETED_BY = RSV + "deletedBy"
REVISION_NUMBER = RSV + "revision"
REVISION_OF = RSV + "revisionOf"
TOTAL_ITEMS_ABOVE = RSV + "totalItemsAbove"
CHANGED_BY = RSV + "changedBy"
CHANGED_AT = RSV + "changedAt"
CORRELATION_ID = RSV + "correlationId"

# what describes things in general, and may be said of any node besides what its kind asks for
_GENERAL_NAMES = (
    "about", "additionalProperty", "additionalType", "address", "addressCountry", "addressLocality", "addressRegion", "affiliation",
    "alternateName", "audience", "award", "brand", "category", "color", "contactPoint", "contactType", "contentUrl",
    "countryOfOrigin", "department", "depth", "description", "disambiguatingDescription", "email", "error", "familyName", "faxNumber",
    "givenName", "gtin", "gtin12", "gtin13", "gtin14", "gtin8", "height", "honorificPrefix", "honorificSuffix", "identifier", "image",
    "inProductGroupWithID", "instrument", "isAccessoryOrSparePartFor", "isConsumableFor", "isPartOf", "isRelatedTo", "isSimilarTo",
    "itemCondition", "jobTitle", "keywords", "knowsLanguage", "latitude", "legalName", "leiCode", "logo", "longitude",
    "mainEntityOfPage", "manufacturer", "material", "maxValue", "measurementTechnique", "memberOf", "minValue", "model", "mpn",
    "name", "nsn", "orderedItem", "parentOrganization", "participant", "pattern", "postOfficeBoxNumber", "postalCode",
    "potentialAction", "productID", "productionDate", "propertyID", "provider", "purchaseDate", "releaseDate", "result", "sameAs",
    "serialNumber", "size", "sku", "streetAddress", "subOrganization", "subjectOf", "target", "taxID", "telephone", "unitCode",
    "unitText", "url", "value", "valueReference", "vatID", "version", "weight", "width", "worksFor",
)  # fmt: skip
GENERAL_PROPERTIES = frozenset(SCHEMA + name for name in _GENERAL_NAMES)

_CLASS_NAMES = (
    "Action", "Brand", "ContactPoint", "CreativeWork", "Event", "GeoCoordinates", "ImageObject", "IndividualProduct", "Intangible",
    "MediaObject", "Organization", "Person", "Place", "PostalAddress", "Product", "ProductGroup", "ProductModel", "PropertyValue",
    "QuantitativeValue", "RentAction", "SomeProducts", "Thing", "Vehicle", "Corporation", "GovernmentOrganization", "NGO",
    "LocalBusiness", "SportsOrganization", "EducationalOrganization", "Project", "Role", "SoftwareApplication",
)  # fmt: skip
CLASSES = frozenset(SCHEMA + name for name in _CLASS_NAMES)
